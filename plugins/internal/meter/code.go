package meter

import (
	"fmt"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// Value types.
const (
	i32 = 0x7f
	i64 = 0x7e
)

// coder writes function bodies.
type coder struct {
	w    *rewriter
	scan scanner
	out  []byte // the body in the making
	fuel uint32 // the global
	count,
	length uint32 // locals that charges use: i64, i32
}

// code meters every function. All shapes that are out of bounds are found; code
// that cannot be read ends it.
func (w *rewriter) code(r *wasmbin.Reader) []byte {
	c := &coder{w: w, fuel: w.globals, scan: scanner{caps: w.caps, globals: w.globals, types: len(w.params)}}
	n := 0
	var body []byte
	f := new(wasmbin.Reader)
	r.Each(w.caps.Functions, func() {
		size := r.U32()
		at := r.Offset()
		code := r.Bytes(size)
		if n >= len(w.funcTypes) {
			r.Fail("more code than functions")
			return
		}
		f.Reset(code, at)
		c.function(f, n, code)
		if f.Err() != nil {
			w.refusal.add(Problem{Func: int(w.importedFuncs) + n, Offset: f.Offset(), What: f.Err().Error()})
		}
		body = wasmbin.AppendBytes(body, c.out)
		n++
	})
	if r.Err() == nil && n != len(w.funcTypes) {
		r.Fail("%d functions, %d with code", len(w.funcTypes), n)
	}
	w.out.WritesTables, w.out.DropsSegments = c.scan.writesTables, c.scan.dropsSegments
	return append(wasmbin.AppendU32(nil, uint32(n)), body...)
}

// function meters the n-th own function into c.out.
func (c *coder) function(r *wasmbin.Reader, n int, code []byte) {
	c.out = c.out[:0]
	index := int(c.w.importedFuncs) + n
	c.scan.shape = func(offset int, what string) {
		c.w.refusal.add(Problem{Func: index, Offset: offset, What: what})
	}
	if len(code) > c.w.caps.Body {
		c.scan.shape(r.Offset(), fmt.Sprintf("%d bytes of code, the limit is %d", len(code), c.w.caps.Body))
		return
	}
	groups, declared := c.locals(r)
	start := r.Pos()
	c.scan.locals = uint64(c.w.params[c.w.funcTypes[n]]) + declared
	if r.Err() != nil {
		return
	}
	c.scan.body(r)
	if r.Err() != nil {
		return
	}
	c.w.used.function(index, len(code), declared, &c.scan)
	c.count, c.length = uint32(c.scan.locals), uint32(c.scan.locals)+1
	c.declare(groups, code[:start])
	c.write(code, start)
}

// locals reads the declarations and returns their groups and locals.
func (c *coder) locals(r *wasmbin.Reader) (groups uint32, locals uint64) {
	at := r.Offset()
	r.Each(c.w.caps.Locals, func() {
		locals += uint64(r.U32())
		r.ValueType()
		groups++
	})
	if locals > uint64(c.w.caps.Locals) {
		c.scan.shape(at, fmt.Sprintf("%d locals, the limit is %d", locals, c.w.caps.Locals))
	}
	return groups, locals
}

// declare writes the locals and those of the charges.
func (c *coder) declare(groups uint32, code []byte) {
	added := uint32(1)
	if c.scan.lengths {
		added = 2
	}
	r := wasmbin.NewReader(code, 0)
	r.U32()
	c.out = append(wasmbin.AppendU32(c.out, groups+added), r.Rest()...)
	c.out = append(c.out, 1, i64)
	if c.scan.lengths {
		c.out = append(c.out, 1, i32)
	}
}

// write copies the code with its edits.
func (c *coder) write(code []byte, from int) {
	for _, e := range c.scan.edits {
		c.out = append(c.out, code[from:e.at]...)
		from = int(e.end)
		switch e.kind {
		case editPoint:
			c.charge(c.scan.points[e.arg])
		case editFunc:
			c.out = wasmbin.AppendU32(append(c.out, code[e.at]), c.w.moved(e.arg))
		case editLength:
			c.chargeLength(e.scale)
		case editLoop:
			c.enter(int32(e.arg))
		}
	}
	c.out = append(c.out, code[from:]...)
}

// op appends an instruction with an index.
func (c *coder) op(op byte, index uint32) {
	c.out = wasmbin.AppendU32(append(c.out, op), index)
}

// charge takes a point's cost from the tank; heads check it.
func (c *coder) charge(p point) {
	if p.cost == 0 {
		return
	}
	inLocal := c.scan.callFree(p.loop)
	if inLocal {
		c.op(wasmbin.OpLocalGet, c.count)
	} else {
		c.op(wasmbin.OpGlobalGet, c.fuel)
	}
	c.out = append(wasmbin.AppendS64(append(c.out, wasmbin.OpI64Const), p.cost), wasmbin.OpI64Sub)
	switch {
	case p.parent < 0:
		c.check()
		return
	case inLocal:
		c.op(wasmbin.OpLocalTee, c.count)
	}
	c.op(wasmbin.OpGlobalSet, c.fuel)
}

// enter stands in front of a loop: the count goes into the local when the
// outermost loop without calls begins.
func (c *coder) enter(l int32) {
	if c.scan.callFree(l) && !c.scan.callFree(c.scan.loops[l].outer) {
		c.op(wasmbin.OpGlobalGet, c.fuel)
		c.op(wasmbin.OpLocalSet, c.count)
	}
}

// check stores the count on the stack, in the local and in the global, and calls
// the host if it is negative.
func (c *coder) check() {
	c.op(wasmbin.OpLocalTee, c.count)
	c.op(wasmbin.OpGlobalSet, c.fuel)
	c.op(wasmbin.OpLocalGet, c.count)
	c.out = append(c.out, wasmbin.OpI64Const, 0, wasmbin.OpI64LtS, wasmbin.OpIf, wasmbin.EmptyBlock)
	c.op(wasmbin.OpLocalGet, c.count)
	c.op(wasmbin.OpCall, c.w.importedFuncs)
	c.op(wasmbin.OpLocalTee, c.count)
	c.op(wasmbin.OpGlobalSet, c.fuel)
	c.out = append(c.out, wasmbin.OpEnd)
}

// chargeLength charges for the i32 on the stack, which stays there.
func (c *coder) chargeLength(by scale) {
	c.op(wasmbin.OpLocalSet, c.length)
	c.op(wasmbin.OpGlobalGet, c.fuel)
	c.op(wasmbin.OpLocalGet, c.length)
	c.out = append(c.out, wasmbin.OpI64ExtendU)
	switch by {
	case scaleBytes:
		c.out = append(c.out, wasmbin.OpI64Const, bytesShift, wasmbin.OpI64ShrU)
	case scalePages:
		c.out = append(wasmbin.AppendS64(append(c.out, wasmbin.OpI64Const), pageUnits), wasmbin.OpI64Mul)
	}
	c.out = append(c.out, wasmbin.OpI64Sub)
	c.check()
	c.op(wasmbin.OpLocalGet, c.length)
}
