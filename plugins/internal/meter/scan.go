package meter

import (
	"fmt"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// mergeLimit is up to which cost a piece of code under a condition is paid by
// the piece before the condition, whether it will run or not. It trades
// precision for speed: with 64, a loop of ordinary size is charged once per
// turn, and a piece that is not reached costs at most 64 units too much.
const mergeLimit = 64

// point is a place where a charge stands, for the code up to the next points.
// Control flow is structured, so code after a block, a condition or a loop can
// only be reached through the code before it: its parent.
type point struct {
	parent int32 // -1: a function or loop head, which is always charged
	loop   int32 // the innermost loop around it, -1 for none
	cost   int64
}

// loop is a loop of the function. As long as nobody is called the count can be
// kept in a local too, which saves each turn from waiting for memory.
type loop struct {
	outer int32 // -1: none
	calls bool
}

// edit is a change of a body: at a point, of a function's index, or before an
// instruction whose work depends on its operand.
type edit struct {
	at, end int32 // the bytes of the body that it replaces
	kind    editKind
	scale   scale
	arg     uint32 // point, loop or function index
}

type editKind byte

const (
	editPoint editKind = iota
	editFunc
	editLength
	editLoop // in front of a loop
)

// frame is an open block.
type frame struct {
	op       byte
	point    int32 // that paid when it began
	targeted bool  // a branch leads to its end
}

// scanner reads one function at a time and keeps its buffers.
type scanner struct {
	caps    Caps
	edits   []edit
	points  []point
	loops   []loop
	frames  []frame
	current int32 // the point that pays
	loop    int32 // the innermost open loop

	locals  uint64 // parameters included
	globals uint32
	types   int

	control, nesting int
	brTable          int  // entries of the longest one
	lengths          bool // it has an edit of kind editLength
	writesTables     bool
	dropsSegments    bool
	shape            func(offset int, what string)
}

// body reads the instructions of a function, from behind its locals.
func (s *scanner) body(r *wasmbin.Reader) {
	s.edits, s.points, s.frames, s.loops, s.loop = s.edits[:0], s.points[:0], s.frames[:0], s.loops[:0], -1
	s.control, s.nesting, s.brTable, s.lengths = 0, 0, 0, false
	s.open(wasmbin.OpCall, r, 0) // the function itself
	for !r.End() {
		at := r.Pos()
		in := r.Instr()
		if r.Err() != nil || !s.instr(r, at, in) {
			break
		}
	}
	if r.Err() == nil && (len(s.frames) > 0 || !r.End()) {
		r.Fail("blocks are not closed")
	}
	if s.control > s.caps.Control {
		s.shape(r.Offset(), fmt.Sprintf("%d blocks and branches, the limit is %d", s.control, s.caps.Control))
	}
	if s.nesting > s.caps.Nesting {
		s.shape(r.Offset(), fmt.Sprintf("blocks nested %d deep, the limit is %d", s.nesting, s.caps.Nesting))
	}
	s.merge()
}

// instr takes one instruction; false ends the function.
func (s *scanner) instr(r *wasmbin.Reader, at int, in wasmbin.Instr) bool {
	s.points[s.current].cost += cost(in)
	switch in.Op {
	case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
		s.control++
		if in.HasIndex && int64(in.Index) >= int64(s.types) {
			r.Fail("type %d is not defined", in.Index)
		}
		s.open(in.Op, r, at)
	case wasmbin.OpElse:
		s.control++
		s.orElse(r)
	case wasmbin.OpEnd:
		return s.close(r)
	case wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpBrTable:
		s.branch(r, in)
	default:
		s.plain(r, at, in)
	}
	return true
}

// plain takes an instruction that is not control flow.
func (s *scanner) plain(r *wasmbin.Reader, at int, in wasmbin.Instr) {
	e := edit{at: int32(at), end: int32(r.Pos()), arg: in.Index}
	if s.loop >= 0 && (in.Op == wasmbin.OpCall || in.Op == wasmbin.OpCallIndirect) {
		s.loops[s.loop].calls = true
	}
	switch in.Op {
	case wasmbin.OpCall, wasmbin.OpRefFunc:
		e.kind = editFunc
		s.edits = append(s.edits, e)
		return
	case wasmbin.OpCallIndirect:
		if int64(in.Index) >= int64(s.types) {
			r.Fail("type %d is not defined", in.Index)
		}
	case wasmbin.OpLocalGet, wasmbin.OpLocalSet, wasmbin.OpLocalTee:
		if uint64(in.Index) >= s.locals {
			r.Fail("local %d is not defined", in.Index)
		}
	case wasmbin.OpGlobalGet, wasmbin.OpGlobalSet:
		if in.Index >= s.globals {
			r.Fail("global %d is not defined", in.Index)
		}
	case wasmbin.OpTableSet:
		s.writesTables = true
	case wasmbin.OpBulk:
		switch in.Sub {
		case wasmbin.SubTableInit, wasmbin.SubTableCopy, wasmbin.SubTableGrow, wasmbin.SubTableFill:
			s.writesTables = true
		case wasmbin.SubDataDrop, wasmbin.SubElemDrop:
			s.dropsSegments = true
		}
	}
	if e.scale = scaleOf(in); e.scale != scaleNone {
		e.kind, e.end, s.lengths = editLength, e.at, true
		s.edits = append(s.edits, e)
	}
}

// open begins the block at that position; heads and conditional parts get a
// point of their own.
func (s *scanner) open(op byte, r *wasmbin.Reader, at int) {
	s.frames = append(s.frames, frame{op: op, point: s.current})
	s.nesting = max(s.nesting, len(s.frames)-1)
	if op == wasmbin.OpLoop {
		s.loops = append(s.loops, loop{outer: s.loop})
		s.loop = int32(len(s.loops) - 1)
		s.edits = append(s.edits, edit{at: int32(at), end: int32(at), kind: editLoop, arg: uint32(s.loop)})
	}
	switch op {
	case wasmbin.OpCall, wasmbin.OpLoop:
		s.point(r, -1)
		s.points[s.current].cost = minHeadCost
	case wasmbin.OpIf:
		s.point(r, s.current)
	}
}

// point puts a point here, to which code pays from now on.
func (s *scanner) point(r *wasmbin.Reader, parent int32) {
	s.points = append(s.points, point{parent: parent, loop: s.loop})
	s.current = int32(len(s.points) - 1)
	at := int32(r.Pos())
	s.edits = append(s.edits, edit{at: at, end: at, kind: editPoint, arg: uint32(s.current)})
}

func (s *scanner) orElse(r *wasmbin.Reader) {
	f := &s.frames[len(s.frames)-1]
	if f.op != wasmbin.OpIf {
		r.Fail("else without if")
		return
	}
	f.op = wasmbin.OpElse
	s.point(r, f.point)
}

// close ends a block; false if it was the function.
func (s *scanner) close(r *wasmbin.Reader) bool {
	f := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	switch {
	case f.op == wasmbin.OpCall:
		return false
	case f.op == wasmbin.OpLoop:
		s.current = f.point
		s.closeLoop()
	case f.targeted || f.op == wasmbin.OpIf || f.op == wasmbin.OpElse:
		s.point(r, f.point)
	}
	return true
}

// closeLoop leaves the innermost loop; its calls are calls of the outer one.
func (s *scanner) closeLoop() {
	l := s.loops[s.loop]
	if s.loop = l.outer; s.loop >= 0 && l.calls {
		s.loops[s.loop].calls = true
	}
}

// callFree tells that nothing is called inside the loop.
func (s *scanner) callFree(loop int32) bool { return loop >= 0 && !s.loops[loop].calls }

func (s *scanner) branch(r *wasmbin.Reader, in wasmbin.Instr) {
	s.control++
	target := func(label uint32) {
		if int64(label) >= int64(len(s.frames)) {
			r.Fail("label %d is not defined", label)
			return
		}
		s.frames[len(s.frames)-1-int(label)].targeted = true
	}
	switch in.Op {
	case wasmbin.OpBrTable:
		n := len(in.Labels) - 1
		s.brTable = max(s.brTable, n)
		if n > s.caps.BrTable {
			s.shape(r.Offset(), fmt.Sprintf("br_table with %d entries, the limit is %d", n, s.caps.BrTable))
		}
		for _, label := range in.Labels {
			target(label)
		}
	case wasmbin.OpBrIf:
		target(in.Index)
		s.point(r, s.current)
	default:
		target(in.Index)
	}
}

// merge lets parents pay for cheap points. A child stands behind its parent, so
// that going backwards its own children have been merged before.
func (s *scanner) merge() {
	for i := len(s.points) - 1; i > 0; i-- {
		p := &s.points[i]
		if p.parent < 0 {
			continue
		}
		if parent := &s.points[p.parent]; parent.cost+p.cost <= mergeLimit {
			parent.cost += p.cost
			p.cost = 0
		}
	}
}
