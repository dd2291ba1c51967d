package pipeline

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxExpression is the longest expression, in bytes. Anything bigger is a
// kernel, not an expression.
const MaxExpression = 4096

// Expr is an expression over the item: `item.meta.host`. Its language is
// expr-lang (https://expr-lang.org/docs/language-definition), typed against
//
//	item.id item.key item.queue   strings
//	item.priority item.attempt    whole numbers
//	item.token                    the fencing token of the claim, a whole number:
//	                              what receives effects can refuse a smaller one
//	item.body                     anything; checked when it is evaluated
//	item.meta                     strings by name; a missing one is ""
//	item.artifacts                by name: .size .mediaType .digest; a missing
//	                              one has none of them, ask with "name" in
//
// so that a misspelled field is a problem of the file. The functions are an
// allow-list without clock or randomness (see Functions), and the same item
// always gives the same result. Positions survive, so that a failure at run
// time cites the line. In a file the expression may stand bare or in ${{ }}.
// An Expr may be used from several goroutines.
type Expr struct {
	src   string
	pos   Pos
	exact bool // pos is that of src's first character, and src is one line
	prog  *program
}

// Condition is an Expr that yields a bool. What cannot be told from the types
// (item.body) is checked when it is evaluated.
type Condition struct{ Expr }

// CompileExpr compiles an expression for use from Go and in tests.
func CompileExpr(src string) (*Expr, error) {
	prog, bad := compile(src, false)
	if bad != nil {
		return nil, bad
	}
	return &Expr{src: src, prog: prog}, nil
}

// CompileCondition compiles a condition for use from Go and in tests.
func CompileCondition(src string) (*Condition, error) {
	prog, bad := compile(src, true)
	if bad != nil {
		return nil, bad
	}
	return &Condition{Expr{src: src, prog: prog}}, nil
}

// String returns the source.
func (e *Expr) String() string { return e.src }

// IsZero reports whether the expression was not given.
func (e *Expr) IsZero() bool { return e == nil || e.prog == nil }

// Pos returns the expression's place in the file.
func (e *Expr) Pos() Pos { return e.pos }

// MarshalText renders the source.
func (e Expr) MarshalText() ([]byte, error) { return []byte(e.src), nil }

// UnmarshalNode reads and compiles the expression.
func (e *Expr) UnmarshalNode(n *Node) { e.read(n, false) }

// UnmarshalNode reads and compiles the condition.
func (c *Condition) UnmarshalNode(n *Node) { c.read(n, true) }

// Eval evaluates the expression. Errors are permanent with code "expression".
func (e *Expr) Eval(it *Item) (any, error) {
	if e.IsZero() {
		return nil, nil
	}
	v, bad := e.prog.run(it)
	if bad != nil {
		return nil, e.failure(bad)
	}
	return v, nil
}

// Text evaluates the expression to a string; numbers and bools are rendered,
// nil and structures are errors.
func (e *Expr) Text(it *Item) (string, error) {
	v, err := e.Eval(it)
	if err != nil {
		return "", err
	}
	s, ok := renderText(v)
	if !ok {
		return "", e.failure(&exprError{message: "want text, got " + TypeName(v)})
	}
	return s, nil
}

// Holds evaluates the condition. A result that is no bool is an error: nothing
// is "truthy".
func (c *Condition) Holds(it *Item) (bool, error) {
	v, err := c.Eval(it)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, c.failure(&exprError{message: "want true or false, got " + TypeName(v)})
	}
	return b, nil
}

// failure cites the place in the file.
func (e *Expr) failure(bad *exprError) *Error {
	pos := e.pos
	if e.exact {
		pos.Col += utf8.RuneCountInString(e.src[:bad.offset])
	}
	return &Error{Kind: Permanent, Code: "expression", Pos: pos, Err: fmt.Errorf("%s: %w", e.src, bad), Hint: bad.hint}
}

// read compiles a scalar, bare or wrapped in ${{ }}.
func (e *Expr) read(n *Node, condition bool) {
	switch n.Kind() {
	case KindNull:
		n.Problem(CodeEmptyValue, "give it an expression or remove the key", "there is nothing here")
		return
	case KindList, KindMap:
		n.Problem(CodeWrongType, "", "want an expression, got %s", n.Kind())
		return
	}
	src, offset, ok := expressionSource(n)
	if ok {
		e.compileAt(n, src, offset, condition)
	}
}

// expressionSource finds the one expression of a scalar. A reference inside is
// refused: its value would become code.
func expressionSource(n *Node) (src string, offset int, ok bool) {
	segments := n.Segments()
	if n.Referenced() {
		n.Problem(CodeBadReference, "put the value into the item's meta, or into a value with a ${{ }} beside it",
			"an expression cannot hold a reference: its value would run as code")
		return "", 0, false
	}
	if len(segments) == 1 && segments[0].Kind == SegmentExpression {
		return segments[0].Text, segments[0].Offset, closed(n, segments[0])
	}
	for _, s := range segments {
		if s.Kind == SegmentExpression {
			n.ProblemAt(s.Offset-len("${{"), CodeBadExpression, "the whole value is an expression already: remove ${{ and }}", "${{ }} inside an expression")
			return "", 0, false
		}
	}
	return n.Raw(), 0, true
}

const unclosed = "the expression is not closed"

// closed reports an expression without its }}.
func closed(n *Node, s NodeSegment) bool {
	if s.Open {
		n.ProblemAt(s.Offset-len("${{"), CodeBadExpression, "end it with }}", unclosed)
	}
	return !s.Open
}

// compileAt compiles src, which starts at offset in the scalar.
func (e *Expr) compileAt(n *Node, src string, offset int, condition bool) {
	trimmed := strings.TrimLeft(src, " \t\n")
	offset += len(src) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, " \t\n")
	e.src = trimmed
	e.pos, e.exact = n.At(offset)
	e.exact = e.exact && !strings.Contains(trimmed, "\n")
	prog, bad := compile(trimmed, condition)
	if bad != nil {
		n.ProblemAt(offset+bad.offset, CodeBadExpression, bad.hint, "%s", bad.message)
		return
	}
	e.prog = prog
}
