package pipeline

// Expr is an expression over the item: `item.meta.host`. Its functions are an
// allow-list without clock or randomness. Positions survive, so that a failure
// at run time cites the line.
type Expr struct {
	src  string
	pos  Pos
	prog *program
}

// Condition is an Expr that yields a bool.
type Condition struct{ Expr }

// Template is a config value with ${{ expressions }} inside strings, at any
// depth: a string that is one expression keeps the expression's type, a string
// around expressions becomes text, lists and maps are evaluated inside.
type Template struct {
	pos  Pos
	eval func(it *Item) (any, error)
}

type program struct{}

// CompileExpr compiles an expression for use from Go and in tests.
func CompileExpr(src string) (*Expr, error) { return &Expr{src: src}, nil }

// String returns the source.
func (e *Expr) String() string { return e.src }

// IsZero reports whether the expression was not given.
func (e *Expr) IsZero() bool { return e == nil || e.prog == nil }

// Pos returns the expression's place in the file.
func (e *Expr) Pos() Pos { return e.pos }

// Eval evaluates the expression. Errors are permanent with code "expression".
func (e *Expr) Eval(it *Item) (any, error) { return nil, nil }

// Text evaluates the expression to a string; numbers and bools are rendered,
// nil and structures are errors.
func (e *Expr) Text(it *Item) (string, error) { return "", nil }

// Holds evaluates the condition.
func (c *Condition) Holds(it *Item) (bool, error) { return false, nil }

// NewTemplate compiles a template from Go values (string, []any,
// map[string]any and scalars), for tests and embedding.
func NewTemplate(v any) (*Template, error) { return &Template{}, nil }

// IsZero reports whether the template was not given.
func (t *Template) IsZero() bool { return t == nil || t.eval == nil }

// Eval evaluates the template for an item.
func (t *Template) Eval(it *Item) (any, error) { return nil, nil }

// Text evaluates the template to a string.
func (t *Template) Text(it *Item) (string, error) { return "", nil }
