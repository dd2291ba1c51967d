package meter

import "math"

// Usage is how much of each cap a module uses: the most of any function for
// those that bound one.
type Usage struct {
	Caps
	// Biggest is the function with the longest code; its Index is -1 if there
	// is no function.
	Biggest Function
	// Own counts the functions that are not imported.
	Own int
}

// Function is one function of a module; Name may be empty.
type Function struct {
	Index int
	Name  string
	Bytes int
}

// Measure reads a module and refuses it for no cap. The error is a *Refusal.
func Measure(wasm []byte) (Usage, error) {
	most := math.MaxInt32
	w := newRewriter(Caps{Size: most, Functions: most, Body: most, Nesting: most, BrTable: most, Control: most, Locals: most,
		Tables: most, TableEntries: most})
	if _, err := w.run(wasm); err != nil {
		return Usage{}, err
	}
	u := w.used
	u.Size, u.Tables, u.Own = len(wasm), w.tables, len(w.funcTypes)
	u.Functions = int(w.importedFuncs) + u.Own
	if u.Own == 0 {
		u.Biggest.Index = -1
	}
	u.Biggest.Name = w.names.funcs[uint32(u.Biggest.Index)]
	return u, nil
}

// function notes what the scanner saw of a function.
func (u *Usage) function(index, bytes int, locals uint64, s *scanner) {
	if bytes > u.Body {
		u.Body, u.Biggest = bytes, Function{Index: index, Bytes: bytes}
	}
	u.Locals = max(u.Locals, int(min(locals, math.MaxInt32)))
	u.Nesting, u.Control, u.BrTable = max(u.Nesting, s.nesting), max(u.Control, s.control), max(u.BrTable, s.brTable)
}
