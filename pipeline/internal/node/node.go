// Package node walks a yaml.Node tree strictly: it decodes typed configs and
// collects every problem with its line and column. It is the only package that
// knows gopkg.in/yaml.v3.
package node

import (
	"encoding/json"
	"fmt"

	"gopkg.in/yaml.v3"
)

// Pos is a place in a file.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"column"`
}

// String returns file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Problem is one finding.
type Problem struct {
	Pos
	// Code is stable: unknown-key, wrong-type, ...
	Code string `json:"code"`
	// Path is where in the document: stages[2].kernel.limits.memory.
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Source is the line of the file, for the caret.
	Source string `json:"-"`
}

// Error renders file:line:col: path: message (hint).
func (p Problem) Error() string {
	s := fmt.Sprintf("%s: %s: %s", p.Pos, p.Path, p.Message)
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems is a list of findings.
type Problems []Problem

// Error renders all problems.
func (ps Problems) Error() string {
	s := ""
	for _, p := range ps {
		s += p.Error() + "\n"
	}
	return s
}

// Unmarshaler is implemented by types that decode themselves from a node.
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

// Node is one value with its position and path; nodes share one list of
// problems.
type Node struct {
	yaml *yaml.Node
	path string
	doc  *document
}

type document struct {
	file     string
	problems Problems
}

// Pos returns the node's place.
func (n *Node) Pos() Pos { return Pos{n.doc.file, n.yaml.Line, n.yaml.Column} }

// Path returns the node's path in the document.
func (n *Node) Path() string { return n.path }

// Kind returns the node's shape.
func (n *Node) Kind() Kind { return Null }

// Text returns a scalar's text after ${env:} and ${file:} were resolved.
func (n *Node) Text() string { return n.yaml.Value }

// Decode decodes the node into the value that v points to, strictly, and
// reports whether there was no problem.
func (n *Node) Decode(v any) bool { return false }

// Items returns the elements of a list.
func (n *Node) Items() []*Node { return nil }

// Fields returns keys and values of a map in file order.
func (n *Node) Fields() []Field { return nil }

// Field is one entry of a map.
type Field struct {
	Name  string
	Key   *Node
	Value *Node
}

// Lookup returns the node at a path below n ("limits.memory", "steps[2]"), or
// the deepest node on the way that exists.
func (n *Node) Lookup(path string) *Node { return n }

// Problem reports a finding at the node.
func (n *Node) Problem(code, hint, format string, args ...any) {
	n.doc.problems = append(n.doc.problems, Problem{Pos: n.Pos(), Path: n.path, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)})
}
