package meter

// Caps bound the shape of a module. A compiler's work grows faster than
// linearly with most of them: 90 KB of nested blocks, of br_table entries or of
// conditions in one function can keep wazero busy for more than 20 s.
type Caps struct {
	Size         int // bytes of the module
	Functions    int // functions, imports included; also types, globals, exports, segments
	Body         int // bytes of one function
	Nesting      int // blocks inside each other
	BrTable      int // entries of one br_table
	Control      int // blocks, loops, conditions and branches of one function
	Locals       int // locals of one function, without parameters
	Tables       int
	TableEntries int // of one table, at first and after growing
}

// Defaults of the caps. The largest real modules seen (Go with encoding/json,
// QuickJS, a Haskell program) reach at most half of each.
const (
	MaxSize         = 16 << 20
	MaxFunctions    = 50_000
	MaxBody         = 256 << 10
	MaxNesting      = 4096
	MaxBrTable      = 8192
	MaxControl      = 8192
	MaxLocals       = 1024
	MaxTables       = 4
	MaxTableEntries = 65_536
)

// DefaultCaps returns the defaults.
func DefaultCaps() Caps {
	return Caps{Size: MaxSize, Functions: MaxFunctions, Body: MaxBody, Nesting: MaxNesting, BrTable: MaxBrTable,
		Control: MaxControl, Locals: MaxLocals, Tables: MaxTables, TableEntries: MaxTableEntries}
}
