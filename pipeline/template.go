package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Template is a config value with ${{ expressions }} inside strings, at any
// depth: a string that is one expression keeps the expression's type, a string
// around expressions becomes text, lists and maps are evaluated inside. A
// Template may be used from several goroutines; each evaluation makes a value
// of its own, which the caller may change.
type Template struct {
	pos      Pos
	eval     func(it *Item) (any, error)
	constant bool
}

// NewTemplate compiles a template from Go values (string, []any,
// map[string]any and scalars), for tests and embedding. It knows no
// references.
func NewTemplate(v any) (*Template, error) {
	b := &templateBuilder{constant: true}
	eval, err := b.value(v)
	if err != nil {
		return nil, err
	}
	return &Template{eval: eval, constant: b.constant}, nil
}

// IsZero reports whether the template was not given.
func (t *Template) IsZero() bool { return t == nil || t.eval == nil }

// Pos returns the template's place in the file.
func (t *Template) Pos() Pos { return t.pos }

// Constant returns the value of a template without expressions, so that it can
// be checked before any item is there.
func (t *Template) Constant() (v any, ok bool) {
	if t.IsZero() || !t.constant {
		return nil, false
	}
	v, err := t.eval(nil)
	return v, err == nil
}

// Eval evaluates the template for an item. Errors are permanent with code
// "expression".
func (t *Template) Eval(it *Item) (any, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.eval(it)
}

// Text evaluates the template to a string; numbers and bools are rendered, nil
// and structures are errors.
func (t *Template) Text(it *Item) (string, error) {
	v, err := t.Eval(it)
	if err != nil {
		return "", err
	}
	s, ok := renderText(v)
	if !ok {
		return "", &Error{Kind: Permanent, Code: "expression", Pos: t.pos, Err: fmt.Errorf("want text, got %s", TypeName(v))}
	}
	return s, nil
}

// NodeSchema says that a template is any value.
func (Template) NodeSchema() json.RawMessage { return json.RawMessage(`{}`) }

// NodeSchema says that an expression is text, or true or false.
func (Expr) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["string","boolean","number"]}`)
}

// UnmarshalNode reads the template and compiles its expressions.
func (t *Template) UnmarshalNode(n *Node) {
	b := &templateBuilder{constant: true}
	eval := b.node(n)
	*t = Template{pos: n.Pos(), eval: eval, constant: b.constant}
}

type evaluator = func(it *Item) (any, error)

// templateBuilder makes evaluators, from the file's nodes or from Go values.
type templateBuilder struct{ constant bool }

func (b *templateBuilder) node(n *Node) evaluator {
	switch n.Kind() {
	case KindList:
		var items []evaluator
		for _, item := range n.Items() {
			items = append(items, b.node(item))
		}
		return evalList(items)
	case KindMap:
		fields := map[string]evaluator{}
		for _, f := range n.Fields() {
			fields[f.Name] = b.node(f.Value)
		}
		return evalMap(fields)
	case KindScalar:
		if n.IsString() {
			return b.text(n)
		}
	}
	return evalConstant(n.Value())
}

// text reads a string of the file; problems go to the node.
func (b *templateBuilder) text(n *Node) evaluator {
	return b.segments(n.Segments(), func(s node.Segment) *Expr {
		e := new(Expr)
		if closed(n, s) {
			e.compileAt(n, s.Text, s.Offset, false)
		}
		return e
	})
}

// value reads a Go value.
func (b *templateBuilder) value(v any) (evaluator, error) {
	switch v := v.(type) {
	case []any:
		items := make([]evaluator, len(v))
		for i := range v {
			var err error
			if items[i], err = b.value(v[i]); err != nil {
				return nil, err
			}
		}
		return evalList(items), nil
	case map[string]any:
		fields := make(map[string]evaluator, len(v))
		for k := range v {
			var err error
			if fields[k], err = b.value(v[k]); err != nil {
				return nil, err
			}
		}
		return evalMap(fields), nil
	case string:
		var failed error
		eval := b.segments(node.Split(v), func(s node.Segment) *Expr {
			e, err := CompileExpr(strings.TrimSpace(s.Text))
			if s.Open {
				err = errors.New(unclosed)
			}
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", s.Text, err)
			}
			return e
		})
		return eval, failed
	}
	return evalConstant(v), nil
}

// segments joins the parts of a string. One expression alone keeps its type.
func (b *templateBuilder) segments(list []node.Segment, compile func(node.Segment) *Expr) evaluator {
	if len(list) == 1 && list[0].Kind == SegmentExpression {
		b.constant = false
		return compile(list[0]).Eval
	}
	parts := make([]func(it *Item) (string, error), len(list))
	fixed := true
	var all strings.Builder
	for i, s := range list {
		if s.Kind == SegmentExpression {
			fixed = false
			parts[i] = compile(s).Text
			continue
		}
		text := s.Text
		all.WriteString(text)
		parts[i] = func(*Item) (string, error) { return text, nil }
	}
	if fixed {
		return evalConstant(all.String())
	}
	b.constant = false
	return evalText(parts)
}

func evalConstant(v any) evaluator { return func(*Item) (any, error) { return v, nil } }

func evalText(parts []func(it *Item) (string, error)) evaluator {
	return func(it *Item) (any, error) {
		var b strings.Builder
		for _, part := range parts {
			s, err := part(it)
			if err != nil {
				return nil, err
			}
			b.WriteString(s)
		}
		return b.String(), nil
	}
}

func evalList(items []evaluator) evaluator {
	return func(it *Item) (any, error) {
		out := make([]any, len(items))
		for i, item := range items {
			v, err := item(it)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}
}

func evalMap(fields map[string]evaluator) evaluator {
	return func(it *Item) (any, error) {
		out := make(map[string]any, len(fields))
		for k, field := range fields {
			v, err := field(it)
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	}
}
