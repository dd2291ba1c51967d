package node

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Unmarshaler is implemented by types that decode themselves from a node.
// They report with n.Problem; a null node may be passed.
type Unmarshaler interface{ UnmarshalNode(n *Node) }

// SchemaProvider returns the JSON Schema of a type that decodes itself.
type SchemaProvider interface{ NodeSchema() json.RawMessage }

// Kind is the shape of a node.
type Kind uint8

const (
	Null Kind = iota
	Scalar
	List
	Map
)

// String names the shape as problems do.
func (k Kind) String() string {
	return [...]string{"nothing", "a value", "a list", "a mapping"}[k]
}

// Node is one value with its position and path; nodes share one list of
// problems.
type Node struct {
	yaml   *yaml.Node // aliases resolved
	key    *yaml.Node // in a mapping, the key it stands behind; or nil
	parent *Node      // nil at the top
	index  int        // in a list
	doc    *Document
	items  []*Node // made when they are asked for
	fields []Field // likewise
}

// resolved follows an alias to what it stands for.
func resolved(y *yaml.Node) *yaml.Node {
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return y
}

// Pos returns the node's place: that of the value, or of its key if there is
// no value.
func (n *Node) Pos() Pos {
	at := n.yaml
	if n.key != nil && n.Kind() == Null && at.Value == "" {
		at = n.key
	}
	return Pos{n.doc.file, at.Line, at.Column}
}

// KeyPos returns the place of the node's key, or the node's own in a list.
func (n *Node) KeyPos() Pos {
	if n.key == nil {
		return n.Pos()
	}
	return Pos{n.doc.file, n.key.Line, n.key.Column}
}

// Kind returns the node's shape.
func (n *Node) Kind() Kind {
	switch n.yaml.Kind {
	case yaml.SequenceNode:
		return List
	case yaml.MappingNode:
		return Map
	case yaml.ScalarNode:
		if n.yaml.Style == 0 && n.doc.refs[n.yaml] == nil && n.yaml.ShortTag() == "!!null" {
			return Null
		}
		return Scalar
	}
	return Null
}

// Text returns a scalar's text after ${env:} and ${file:} were resolved.
func (n *Node) Text() string {
	if r := n.doc.refs[n.yaml]; r != nil {
		return r.text
	}
	return n.yaml.Value
}

// Raw returns a scalar's text as it is written, references unresolved. It is
// what messages may quote: it never shows a secret.
func (n *Node) Raw() string { return n.yaml.Value }

// Referenced reports whether the text came from ${env:} or ${file:}, wholly or
// in part.
func (n *Node) Referenced() bool { return n.doc.refs[n.yaml] != nil }

// IsString reports whether the value is text: quoted, or plain and neither a
// number, a bool nor null.
func (n *Node) IsString() bool {
	return n.Kind() == Scalar && (n.Referenced() || n.tag() == "!!str")
}

// tag is the scalar's core type: !!str, !!int, !!float, !!bool or !!null.
// Dates are text, as in YAML 1.2.
func (n *Node) tag() string {
	if n.yaml.Style&^yaml.FlowStyle != 0 {
		return "!!str"
	}
	if t := n.yaml.ShortTag(); t != "!!timestamp" && t != "!!merge" && t != "!!binary" {
		return t
	}
	return "!!str"
}

// Items returns the elements of a list, nil for anything else. The caller may
// not change them.
func (n *Node) Items() []*Node {
	if n.items == nil && n.yaml.Kind == yaml.SequenceNode {
		n.items = make([]*Node, len(n.yaml.Content))
		nodes := make([]Node, len(n.yaml.Content)) // one allocation for all
		for i, c := range n.yaml.Content {
			nodes[i] = Node{doc: n.doc, parent: n, index: i, yaml: resolved(c)}
			n.items[i] = &nodes[i]
		}
	}
	return n.items
}

// Fields returns keys and values of a map in file order, nil for anything
// else. A key that is set twice is there once, with its first value. The caller
// may not change them.
func (n *Node) Fields() []Field {
	if n.fields == nil && n.yaml.Kind == yaml.MappingNode {
		n.fields = make([]Field, 0, len(n.yaml.Content)/2)
		nodes := make([]Node, len(n.yaml.Content)/2) // one allocation for all
		for i := range nodes {
			k, v := n.yaml.Content[2*i], n.yaml.Content[2*i+1]
			if n.doc.faulty[k] {
				continue
			}
			nodes[i] = Node{doc: n.doc, parent: n, key: k, yaml: resolved(v)}
			n.fields = append(n.fields, Field{Name: k.Value, Key: Key{n, k}, Value: &nodes[i]})
		}
	}
	return n.fields
}

// Field is one entry of a map.
type Field struct {
	Name string
	// Key is the key itself; problems about the entry as a whole go there.
	Key   Key
	Value *Node
}

// Key is a key of a mapping.
type Key struct {
	mapping *Node
	yaml    *yaml.Node
}

// Pos returns the place of the key.
func (k Key) Pos() Pos { return k.node().Pos() }

// Problem reports a finding at the key.
func (k Key) Problem(code, hint, format string, args ...any) {
	k.node().Problem(code, hint, format, args...)
}

// UnknownKey reports the key as unknown and suggests the nearest of the known
// ones.
func (k Key) UnknownKey(known []string) {
	k.Problem(CodeUnknownKey, Suggest(k.yaml.Value, known), "unknown key %q", k.yaml.Value)
}

// node views the key as if it were its value: with the same path.
func (k Key) node() *Node {
	return &Node{doc: k.mapping.doc, parent: k.mapping, key: k.yaml, yaml: k.yaml}
}

// Problem reports a finding at the node. Values that came from references are
// blotted out of the message.
func (n *Node) Problem(code, hint, format string, args ...any) {
	p := n.Pos()
	n.problem(p.Line, p.Col, code, hint, format, args...)
}

// ProblemAt reports a finding at the character with this offset (in bytes) in
// the text of a scalar; at the scalar itself where offsets cannot be told.
func (n *Node) ProblemAt(offset int, code, hint, format string, args ...any) {
	p, _ := n.At(offset)
	n.problem(p.Line, p.Col, code, hint, format, args...)
}

// Clean reports whether neither the node nor anything inside it has a problem
// so far. In a file with very many problems it is false everywhere, rather than
// slow.
func (n *Node) Clean() bool {
	if len(n.doc.problems) > 1000 {
		return false
	}
	path := n.Path()
	for i := range n.doc.problems {
		rest, below := strings.CutPrefix(n.doc.problems[i].Path, path)
		if below && (rest == "" || path == "" || rest[0] == '.' || rest[0] == '[') {
			return false
		}
	}
	return true
}

func (n *Node) problemAt(y *yaml.Node, code, hint, format string, args ...any) {
	n.problem(y.Line, y.Column, code, hint, format, args...)
}

func (n *Node) problem(line, col int, code, hint, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if n.yaml.Kind == yaml.ScalarNode {
		if r := n.doc.refs[n.yaml]; r != nil && r.text != "" {
			quoted := strconv.Quote(r.text)
			blot := strings.NewReplacer(quoted[1:len(quoted)-1], n.yaml.Value, r.text, n.yaml.Value)
			message, hint = blot.Replace(message), blot.Replace(hint)
		}
	}
	n.doc.report(max(1, line), max(1, col), n.Path(), code, hint, "%s", message)
}
