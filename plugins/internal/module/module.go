// Package module reads the parts of a WebAssembly binary that decide whether a
// host can run it: imports, exports, signatures and memories. It runs and
// compiles nothing, so that `check` may look at a 3 MB module in well under a
// millisecond. Function bodies are not looked at; the compiler validates them.
package module

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// PageSize is the unit of WebAssembly memories.
const PageSize = 65536

// MaxSize is the largest module accepted.
const MaxSize = 16 << 20

// MaxEntries caps imports, exports, types and functions.
const MaxEntries = 50_000

// Kind is what an import or export is.
type Kind byte

const (
	Func Kind = iota
	Table
	Memory
	Global
	Tag
)

// String returns the kind's name in the text format.
func (k Kind) String() string {
	names := [...]string{"func", "table", "memory", "global", "tag"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// Sig is a function's signature as it is written here: "(i32, i32) -> i64".
type Sig string

// Import is one import; Sig is set for functions.
type Import struct {
	Module, Name string
	Kind         Kind
	Sig          Sig
}

// Export is one export; Sig is set for functions.
type Export struct {
	Name string
	Kind Kind
	Sig  Sig
}

// Module is what a binary says about itself.
type Module struct {
	Imports []Import
	Exports []Export
	// MemoryMin is the initial size of its own memory in bytes; 0 without one.
	MemoryMin uint64
	// MemoryMax is what its own memory may grow to in bytes; 0 if it does not
	// say.
	MemoryMax uint64
	// Memories counts its own memories.
	Memories int
	// Start tells that it has a start section.
	Start bool

	types []Sig
	funcs []Sig // imported first, as function indices count
}

// Errors that are told apart, because the advice differs.
var (
	// ErrNotWASM: the file is something else.
	ErrNotWASM = errors.New("not a WebAssembly module: it does not start with \\0asm")
	// ErrComponent: a component-model binary.
	ErrComponent = errors.New("a WebAssembly component: only core modules can run")
	// ErrText: the text format.
	ErrText = errors.New("WebAssembly text, not the binary format")
)

var (
	magicCore      = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	magicComponent = []byte{0, 'a', 's', 'm', 0x0d, 0, 1, 0}
)

// Parse reads a binary.
func Parse(wasm []byte) (*Module, error) {
	switch {
	case len(wasm) > MaxSize:
		return nil, fmt.Errorf("the module has %d bytes, the limit is %d", len(wasm), MaxSize)
	case bytes.HasPrefix(wasm, magicCore):
	case bytes.HasPrefix(wasm, magicComponent):
		return nil, ErrComponent
	case bytes.HasPrefix(bytes.TrimSpace(wasm), []byte("(module")):
		return nil, ErrText
	case !bytes.HasPrefix(wasm, magicCore[:4]):
		return nil, ErrNotWASM
	default:
		return nil, fmt.Errorf("WebAssembly version % x is not known", wasm[4:min(8, len(wasm))])
	}
	m := new(Module)
	r := reader{wasmbin.NewReader(wasm[len(magicCore):], len(magicCore))}
	for !r.End() {
		id, size := r.Byte(), r.U32()
		at := r.Offset()
		body := r.Bytes(size)
		if r.Err() != nil {
			break
		}
		s := reader{wasmbin.NewReader(body, at)}
		if m.section(id, s); s.Err() != nil {
			return nil, fmt.Errorf("section %d: %w", id, s.Err())
		}
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	return m, nil
}

// Export returns the export of that name, or nil.
func (m *Module) Export(name string) *Export {
	for i := range m.Exports {
		if m.Exports[i].Name == name {
			return &m.Exports[i]
		}
	}
	return nil
}

func (m *Module) section(id byte, r reader) {
	switch id {
	case 1:
		r.each(func() { m.types = append(m.types, r.funcType()) })
	case 2:
		r.each(func() { m.importEntry(r) })
	case 3:
		r.each(func() { m.funcs = append(m.funcs, m.sig(r, r.U32())) })
	case 5:
		r.each(func() { m.memory(r.Limits()) })
	case 7:
		r.each(func() { m.exportEntry(r) })
	case 8:
		m.Start = true
	}
}

func (m *Module) memory(l wasmbin.Limits) {
	m.Memories++
	m.MemoryMin = max(m.MemoryMin, uint64(l.Min)*PageSize)
	if l.HasMax {
		m.MemoryMax = uint64(l.Max) * PageSize
	}
}

func (m *Module) sig(r reader, index uint32) Sig {
	if uint64(index) >= uint64(len(m.types)) {
		r.Fail("type %d is not defined", index)
		return ""
	}
	return m.types[index]
}

func (m *Module) importEntry(r reader) {
	i := Import{Module: r.Name(), Name: r.Name(), Kind: Kind(r.Byte())}
	switch i.Kind {
	case Func:
		i.Sig = m.sig(r, r.U32())
		m.funcs = append(m.funcs, i.Sig)
	case Table:
		r.Byte()
		r.Limits()
	case Memory:
		r.Limits()
	case Global:
		r.Byte()
		r.Byte()
	default:
		r.Fail("import kind %d is not known", i.Kind)
	}
	m.Imports = append(m.Imports, i)
}

func (m *Module) exportEntry(r reader) {
	e := Export{Name: r.Name(), Kind: Kind(r.Byte())}
	index := r.U32()
	if e.Kind == Func && r.Err() == nil {
		if uint64(index) >= uint64(len(m.funcs)) {
			r.Fail("export %q: function %d is not defined", e.Name, index)
			return
		}
		e.Sig = m.funcs[index]
	}
	m.Exports = append(m.Exports, e)
}

// MakeSig renders a signature from value types.
func MakeSig(params, results []byte) Sig {
	var b strings.Builder
	b.WriteByte('(')
	for i, t := range params {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(typeName(t))
	}
	b.WriteByte(')')
	for i, t := range results {
		b.WriteString([]string{" -> ", ", "}[min(i, 1)])
		b.WriteString(typeName(t))
	}
	return Sig(b.String())
}

func typeName(t byte) string {
	switch t {
	case 0x7f:
		return "i32"
	case 0x7e:
		return "i64"
	case 0x7d:
		return "f32"
	case 0x7c:
		return "f64"
	case 0x7b:
		return "v128"
	case 0x70:
		return "funcref"
	case 0x6f:
		return "externref"
	}
	return fmt.Sprintf("type(0x%02x)", t)
}
