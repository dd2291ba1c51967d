// Package wasmtest assembles small WebAssembly modules for tests: guests that
// no compiler would make, such as liars, bombs and modules with wrong exports.
package wasmtest

// Value types.
const (
	I32 byte = 0x7f
	I64 byte = 0x7e
)

// Module is a module under construction. Imports come first; functions are
// numbered in the order of Import and Func together.
type Module struct {
	types, imports, funcs, exports, elems, codes, data [][]byte
	memory, table, start, custom                       []byte
}

// Import adds an imported function and returns its index.
func (m *Module) Import(module, name string, params, results []byte) uint32 {
	m.imports = append(m.imports, cat(str(module), str(name), []byte{0}, leb(m.sig(params, results))))
	return uint32(len(m.imports) - 1)
}

// Memory adds and exports the memory.
func (m *Module) Memory(minPages uint32) {
	m.memory = cat([]byte{0}, leb(minPages))
	m.exports = append(m.exports, cat(str("memory"), []byte{2, 0}))
}

// Table adds a table of function references.
func (m *Module) Table(minEntries uint32) { m.table = cat([]byte{0x70, 0}, leb(minEntries)) }

// Func adds a function, exports it if it has a name, and returns its index. The
// body needs no end; locals are i32 and follow the parameters.
func (m *Module) Func(name string, params, results []byte, locals uint32, body ...[]byte) uint32 {
	index := uint32(len(m.imports) + len(m.funcs))
	m.funcs = append(m.funcs, leb(m.sig(params, results)))
	var decl []byte
	if locals > 0 {
		decl = cat(leb(1), leb(locals), []byte{I32})
	} else {
		decl = leb(0)
	}
	code := cat(append([][]byte{decl}, append(body, []byte{0x0b})...)...)
	m.codes = append(m.codes, cat(leb(uint32(len(code))), code))
	if name != "" {
		m.exports = append(m.exports, cat(str(name), []byte{0}, leb(index)))
	}
	return index
}

// ExportMemoryAs exports the memory under a name that should be a function's.
func (m *Module) ExportMemoryAs(name string) {
	m.exports = append(m.exports, cat(str(name), []byte{2, 0}))
}

// Elem puts functions into the table, from entry 0 on.
func (m *Module) Elem(functions ...uint32) {
	elem := cat([]byte{0}, Const(0), []byte{0x0b}, leb(uint32(len(functions))))
	for _, f := range functions {
		elem = append(elem, leb(f)...)
	}
	m.elems = append(m.elems, elem)
}

// Custom adds a custom section at the end.
func (m *Module) Custom(name string, b []byte) {
	body := cat(str(name), b)
	m.custom = cat(m.custom, []byte{0}, leb(uint32(len(body))), body)
}

// Type adds a function type, for CallIndirect, and returns its index.
func (m *Module) Type(params, results []byte) uint32 { return m.sig(params, results) }

// Start names the function that runs at instantiation.
func (m *Module) Start(index uint32) { m.start = leb(index) }

// Data puts bytes into the memory.
func (m *Module) Data(at uint32, b []byte) {
	m.data = append(m.data, cat([]byte{0}, Const(int32(at)), []byte{0x0b}, leb(uint32(len(b))), b))
}

func (m *Module) sig(params, results []byte) uint32 {
	m.types = append(m.types, cat([]byte{0x60}, leb(uint32(len(params))), params, leb(uint32(len(results))), results))
	return uint32(len(m.types) - 1)
}

// Bytes returns the binary.
func (m *Module) Bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, entries [][]byte) {
		if len(entries) > 0 {
			body := cat(append([][]byte{leb(uint32(len(entries)))}, entries...)...)
			out = cat(out, []byte{id}, leb(uint32(len(body))), body)
		}
	}
	section(1, m.types)
	section(2, m.imports)
	section(3, m.funcs)
	if m.table != nil {
		section(4, [][]byte{m.table})
	}
	if m.memory != nil {
		section(5, [][]byte{m.memory})
	}
	section(7, m.exports)
	if m.start != nil {
		out = cat(out, []byte{8}, leb(uint32(len(m.start))), m.start)
	}
	section(9, m.elems)
	section(10, m.codes)
	section(11, m.data)
	return append(out, m.custom...)
}

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func str(s string) []byte { return cat(leb(uint32(len(s))), []byte(s)) }

func leb(n uint32) []byte {
	var out []byte
	for n >= 0x80 {
		out = append(out, byte(n)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

func sleb(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if (n == 0 && b&0x40 == 0) || (n == -1 && b&0x40 != 0) {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
