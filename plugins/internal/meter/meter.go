package meter

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// Names that metering adds.
const (
	// ImportModule.ImportYield, (i64) -> i64, is called with the negative
	// count when it runs out; its answer is the new count. To stop the guest
	// it panics.
	ImportModule = "waybill:meter"
	ImportYield  = "yield"
	// Prefix is reserved for added exports.
	Prefix = "waybill:"
	// ExportFuel is the count: a mutable i64, 0 at first.
	ExportFuel = Prefix + "fuel"
)

// Global is an exported mutable global: all state of an instance outside of its
// memory and tables.
type Global struct {
	Export string
	Index  uint32
	Type   byte // value type
}

// Metered is the outcome.
type Metered struct {
	WASM []byte
	// Globals are the module's own mutable globals, in index order.
	Globals []Global
	// WritesTables and DropsSegments tell that the code can change state that
	// neither memory nor globals hold, so that restoring these two does not
	// bring an instance back.
	WritesTables, DropsSegments bool
}

var magic = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// sections in the order in which they stand; see core specification 2.0, 5.5.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

func sectionOrder() []byte {
	return []byte{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData}
}

// section is the body of a section; the reader counts from the file's start.
type section struct {
	body []byte
	at   int
}

// rewriter is one rewriting.
type rewriter struct {
	caps     Caps
	sections map[byte]section
	names    names
	refusal  Refusal
	used     Usage
	out      Metered

	params          []int    // number of parameters by type
	funcTypes       []uint32 // of the module's own functions
	importedFuncs   uint32
	importedGlobals uint32
	globals         uint32 // imported ones included
	tables          int
}

// Rewrite meters a module. The error is a *Refusal.
func Rewrite(wasm []byte, caps Caps) (*Metered, error) {
	return newRewriter(caps).run(wasm)
}

func newRewriter(caps Caps) *rewriter {
	return &rewriter{caps: caps, sections: make(map[byte]section)}
}

func (w *rewriter) run(wasm []byte) (*Metered, error) {
	if w.split(wasm) {
		w.out.WASM = append(make([]byte, 0, len(wasm)+len(wasm)/2), magic...)
		for _, id := range sectionOrder() {
			if !w.rewrite(id) {
				break
			}
		}
	}
	if len(w.refusal.Problems) > 0 {
		w.nameProblems()
		return nil, &w.refusal
	}
	w.emit(secCustom, w.names.encode(w.importedFuncs, uint32(len(w.funcTypes))))
	return &w.out, nil
}

func (w *rewriter) problem(offset int, format string, args ...any) {
	w.refusal.add(Problem{Func: -1, Offset: offset, What: fmt.Sprintf(format, args...)})
}

// nameProblems gives the problems the names of their functions.
func (w *rewriter) nameProblems() {
	for i := range w.refusal.Problems {
		p := &w.refusal.Problems[i]
		if p.Func >= 0 {
			p.Name = w.names.funcs[uint32(p.Func)]
		}
	}
}

// split finds the sections; each but custom ones may stand once, in order.
func (w *rewriter) split(wasm []byte) bool {
	if len(wasm) > w.caps.Size {
		w.problem(0, "the module has %d bytes, the limit is %d", len(wasm), w.caps.Size)
		return false
	}
	if !bytes.HasPrefix(wasm, magic) {
		w.problem(0, "not a core WebAssembly module of version 1")
		return false
	}
	order := sectionOrder()
	r := wasmbin.NewReader(wasm[len(magic):], len(magic))
	for !r.End() {
		start := r.Offset()
		id, size := r.Byte(), r.U32()
		s := section{at: r.Offset(), body: r.Bytes(size)}
		if id == secCustom {
			w.custom(s)
			continue
		}
		next := bytes.IndexByte(order, id)
		if next < 0 {
			w.problem(start, "section %d is unknown or out of order", id)
			return false
		}
		order = order[next+1:]
		w.sections[id] = s
	}
	if r.Err() != nil {
		w.problem(r.Offset(), "%v", r.Err())
	}
	return len(w.refusal.Problems) == 0
}

// custom looks for names in a custom section. Its own name must be well formed.
func (w *rewriter) custom(s section) {
	r := wasmbin.NewReader(s.body, s.at)
	if r.Name() == "name" && r.Err() == nil {
		w.names.decode(r)
	} else if r.Err() != nil {
		w.problem(r.Offset(), "custom section: %v", r.Err())
	}
}

// rewrite reads a section and writes it as it has to be; false after an error
// that makes the rest unreadable.
func (w *rewriter) rewrite(id byte) bool {
	s, present := w.sections[id]
	r := wasmbin.NewReader(s.body, s.at)
	var body []byte
	added := id == secType || id == secImport || id == secGlobal || id == secExport
	switch {
	case !present && added:
		r.Reset([]byte{0}, s.at) // an empty vector
	case !present && id == secCode && len(w.funcTypes) > 0:
		w.problem(0, "%d functions without code", len(w.funcTypes))
		return false
	case !present:
		return true
	}
	switch id {
	case secType:
		body = w.types(r)
	case secImport:
		body = w.imports(r)
	case secFunction:
		body = w.functions(r)
	case secTable:
		body = w.tableSection(r)
	case secGlobal:
		body = w.globalSection(r)
	case secExport:
		body = w.exports(r)
	case secStart:
		body = wasmbin.AppendU32(nil, w.moved(r.U32()))
	case secElement:
		body = w.elements(r)
	case secCode:
		body = w.code(r)
	case secData:
		body = w.data(r)
	default:
		body = r.Bytes(uint32(len(s.body)))
	}
	if r.Err() == nil && !r.End() {
		r.Fail("section %d is longer than what is in it", id)
	}
	if r.Err() != nil {
		w.problem(r.Offset(), "section %d: %v", id, r.Err())
		return false
	}
	w.emit(id, body)
	return true
}

func (w *rewriter) emit(id byte, body []byte) {
	w.out.WASM = wasmbin.AppendBytes(append(w.out.WASM, id), body)
}

// moved returns the new index of a function.
func (w *rewriter) moved(index uint32) uint32 {
	if index >= w.importedFuncs {
		return index + 1
	}
	return index
}

// vector copies a vector with extra entries behind it.
func (w *rewriter) vector(r *wasmbin.Reader, extra int, entry func(body []byte) []byte) []byte {
	var body []byte
	n := 0
	r.Each(w.caps.Functions, func() { body = entry(body); n++ })
	return append(wasmbin.AppendU32(nil, uint32(n+extra)), body...)
}

func (w *rewriter) types(r *wasmbin.Reader) []byte {
	body := w.vector(r, 1, func(body []byte) []byte {
		start := r.Pos()
		if c := r.Byte(); c != 0x60 {
			r.Fail("type form 0x%02x is not supported", c)
		}
		n := 0
		r.Each(w.caps.Functions, func() { r.ValueType(); n++ })
		w.params = append(w.params, n)
		r.Each(w.caps.Functions, func() { r.ValueType() })
		return append(body, r.Since(start)...)
	})
	return append(body, 0x60, 1, i64, 1, i64) // of yield
}

func (w *rewriter) imports(r *wasmbin.Reader) []byte {
	body := w.vector(r, 1, func(body []byte) []byte {
		start := r.Pos()
		if module := r.Name(); module == ImportModule {
			r.Fail("import module %q is reserved", module)
		}
		r.Name()
		switch kind := r.Byte(); kind {
		case 0:
			w.typeIndex(r, r.U32())
			w.importedFuncs++
		case 1:
			r.ValueType()
			r.Limits()
			w.tables++
		case 2:
			r.Limits()
		case 3:
			r.ValueType()
			r.Byte()
			w.importedGlobals++
		default:
			r.Fail("import kind %d is not known", kind)
		}
		return append(body, r.Since(start)...)
	})
	w.globals = w.importedGlobals
	body = wasmbin.AppendName(wasmbin.AppendName(body, ImportModule), ImportYield)
	return wasmbin.AppendU32(append(body, 0), uint32(len(w.params)))
}

// typeIndex refuses types that the module does not have.
func (w *rewriter) typeIndex(r *wasmbin.Reader, index uint32) uint32 {
	if uint64(index) >= uint64(len(w.params)) {
		r.Fail("type %d is not defined", index)
		return 0
	}
	return index
}

func (w *rewriter) functions(r *wasmbin.Reader) []byte {
	return w.vector(r, 0, func(body []byte) []byte {
		t := w.typeIndex(r, r.U32())
		w.funcTypes = append(w.funcTypes, t)
		return wasmbin.AppendU32(body, t)
	})
}

// tableSection gives each table a maximum, which is all that bounds table.grow.
func (w *rewriter) tableSection(r *wasmbin.Reader) []byte {
	most := uint32(w.caps.TableEntries)
	body := w.vector(r, 0, func(body []byte) []byte {
		at := r.Offset()
		kind, l := r.ValueType(), r.Limits()
		w.tables++
		w.used.TableEntries = max(w.used.TableEntries, int(l.Min))
		if l.Min > most {
			w.problem(at, "a table of %d entries, the limit is %d", l.Min, most)
		}
		if !l.HasMax || l.Max > most {
			l.Max = max(most, l.Min)
		}
		return wasmbin.AppendU32(wasmbin.AppendU32(append(body, kind, 1), l.Min), l.Max)
	})
	if w.tables > w.caps.Tables {
		w.problem(r.Offset(), "%d tables, the limit is %d", w.tables, w.caps.Tables)
	}
	return body
}

func (w *rewriter) globalSection(r *wasmbin.Reader) []byte {
	body := w.vector(r, 1, func(body []byte) []byte {
		kind, mutable := r.ValueType(), r.Byte()
		body = w.constant(r, append(body, kind, mutable))
		if mutable == 1 {
			w.out.Globals = append(w.out.Globals, Global{fmt.Sprintf("%sglobal/%d", Prefix, w.globals), w.globals, kind})
		}
		w.globals++
		return body
	})
	return append(body, i64, 1, wasmbin.OpI64Const, 0, wasmbin.OpEnd)
}

func (w *rewriter) exports(r *wasmbin.Reader) []byte {
	var body []byte
	add := func(name string, kind byte, index uint32) {
		body = wasmbin.AppendU32(append(wasmbin.AppendName(body, name), kind), index)
	}
	n := 0
	r.Each(w.caps.Functions, func() {
		name, kind, index := r.Name(), r.Byte(), r.U32()
		switch {
		case strings.HasPrefix(name, Prefix):
			r.Fail("export %q: names that begin with %q are reserved", name, Prefix)
		case kind == 0:
			index = w.moved(index)
		case kind == 3:
			w.globalIndex(r, index)
		}
		add(name, kind, index)
		n++
	})
	add(ExportFuel, 3, w.globals)
	for _, g := range w.out.Globals {
		add(g.Export, 3, g.Index)
	}
	return append(wasmbin.AppendU32(nil, uint32(n+1+len(w.out.Globals))), body...)
}

// globalIndex refuses globals that the module does not have: the next one is
// the tank.
func (w *rewriter) globalIndex(r *wasmbin.Reader, index uint32) {
	if index >= w.globals {
		r.Fail("global %d is not defined", index)
	}
}

// constant copies a constant expression.
func (w *rewriter) constant(r *wasmbin.Reader, body []byte) []byte {
	for r.Err() == nil {
		start := r.Pos()
		in := r.Instr()
		switch {
		case in.Op == wasmbin.OpRefFunc:
			body = wasmbin.AppendU32(append(body, in.Op), w.moved(in.Index))
			continue
		case in.Op == wasmbin.OpGlobalGet:
			w.globalIndex(r, in.Index)
		case in.Op >= wasmbin.OpI32Const && in.Op <= wasmbin.OpF64Const, in.Op == wasmbin.OpRefNull, in.Op == wasmbin.OpEnd,
			in.Op == wasmbin.OpVector && in.Sub == wasmbin.SubV128Const:
		default:
			r.Fail("instruction 0x%02x in a constant", in.Op)
		}
		body = append(body, r.Since(start)...)
		if in.Op == wasmbin.OpEnd {
			break
		}
	}
	return body
}

// elements: bit 0 of the kind is passive or declarative, bit 1 an explicit table
// (or declarative), bit 2 expressions instead of indices.
func (w *rewriter) elements(r *wasmbin.Reader) []byte {
	return w.vector(r, 0, func(body []byte) []byte {
		kind := r.U32()
		if kind > 7 {
			r.Fail("element segment of kind %d", kind)
		}
		body = wasmbin.AppendU32(body, kind)
		if kind&1 == 0 {
			if kind&2 != 0 {
				body = wasmbin.AppendU32(body, r.U32())
			}
			body = w.constant(r, body)
		}
		if kind&3 != 0 {
			body = append(body, r.Byte())
		}
		var entries []byte
		n := uint32(0)
		r.Each(w.caps.TableEntries, func() {
			n++
			if kind&4 != 0 {
				entries = w.constant(r, entries)
			} else {
				entries = wasmbin.AppendU32(entries, w.moved(r.U32()))
			}
		})
		return append(wasmbin.AppendU32(body, n), entries...)
	})
}

// data checks the offsets: they may read globals.
func (w *rewriter) data(r *wasmbin.Reader) []byte {
	return w.vector(r, 0, func(body []byte) []byte {
		kind := r.U32()
		if kind > 2 {
			r.Fail("data segment of kind %d", kind)
		}
		body = wasmbin.AppendU32(body, kind)
		if kind == 2 {
			body = wasmbin.AppendU32(body, r.U32())
		}
		if kind != 1 {
			body = w.constant(r, body)
		}
		return wasmbin.AppendBytes(body, r.Bytes(r.U32()))
	})
}
