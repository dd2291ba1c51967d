package pipeline

import (
	"errors"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// Pos is a place in a pipeline file; line and column count from 1, columns in
// characters.
type Pos = node.Pos

// Problem is one finding in a pipeline file. Code is stable; tools act on it,
// people read Message and Hint.
type Problem = node.Problem

// Problems is every finding of one load, in file order. As an error it renders
// each with its source line and a caret.
type Problems = node.Problems

// Node is a value of the file with its position, as config types that decode
// themselves see it.
type Node = node.Node

// NodeKind is the shape of a node: KindNull, KindScalar, KindList or KindMap.
type NodeKind = node.Kind

// The shapes of a node.
const (
	KindNull   = node.Null
	KindScalar = node.Scalar
	KindList   = node.List
	KindMap    = node.Map
)

// NodeSegment is a part of a scalar's text: literal, a resolved reference or
// the source of an expression.
type NodeSegment = node.Segment

// The parts of a scalar's text.
const (
	SegmentLiteral    = node.Literal
	SegmentReference  = node.Reference
	SegmentExpression = node.Expression
)

// NodeField is one entry of a mapping: its name, its key and its value.
type NodeField = node.Field

// NodeKey is a key of a mapping.
type NodeKey = node.Key

// Suggest is the hint for a name that is none of the known ones: the nearest of
// them, or all.
func Suggest(name string, known []string) string { return node.Suggest(name, known) }

// NodeUnmarshaler is implemented by config types that decode themselves, such
// as unions and scalars with a syntax of their own. Problems are reported on
// the node with n.Problem; the method returns nothing.
type NodeUnmarshaler = node.Unmarshaler

// SchemaProvider is implemented by config types that decode themselves, so that
// the JSON Schema knows what they accept.
type SchemaProvider = node.SchemaProvider

// Validator is implemented by stage configs that check more than types: that a
// file is there, that two fields agree. It runs after a decode without
// problems, in check as in run.
type Validator interface {
	Validate(v *Validation)
}

// Validation is what a Validator sees and reports to.
type Validation struct {
	// File is the pipeline file as the user named it, and Dir its folder.
	File, Dir string
	// CacheDir is as in Env; empty means do not cache.
	CacheDir string
	node     *node.Node
}

// Problem reports a finding at the field with this path inside the stage's
// config ("use", "limits.memory", "steps[2].click"); the stage itself if there
// is no such field.
func (v *Validation) Problem(path, code, hint, format string, args ...any) {
	v.node.Lookup(path).Problem(code, hint, format, args...)
}

// Error reports err, if there is one, as a finding at that field: a typed error
// with its own code and hint, any other with this code.
func (v *Validation) Error(path, code string, err error) {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		v.Problem(path, typed.Code, typed.Hint, "%v", typed.Err)
	case err != nil:
		v.Problem(path, code, "", "%v", err)
	}
}

// KeyProblem reports a finding about a field as a whole: that it should not be
// there, or that it is missing. It stands at the field's key, or at the key of
// the deepest mapping on the way to it; its path is the field's either way.
func (v *Validation) KeyProblem(path, code, hint, format string, args ...any) {
	v.node.KeyProblem(path, code, hint, format, args...)
}

// Nearest returns the candidate that s was probably meant to be, or "" if none
// is near: at most one edit per three characters, and always one.
func Nearest(s string, candidates []string) string { return node.Nearest(s, candidates) }
