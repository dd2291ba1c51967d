package manifest

import (
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// codeSyntax: JSON that is none, or has two meanings.
const codeSyntax = pipeline.CodeSyntax

// Problem is one finding. Messages never quote a value, which may be a secret.
type Problem struct {
	// Path is where in the JSON: samples[2].config.minWords, or "" for the
	// whole. Names with other characters stand as ["a.b"]; so do the paths of
	// pipeline files.
	Path    string
	Message string
	// Code is one of the pipeline package: unknown-key, missing-key, wrong-type,
	// bad-value, out-of-range, syntax. The path of an unknown or missing key
	// ends in the key.
	Code string
	Hint string
}

// String renders path: message (hint).
func (p Problem) String() string {
	s := p.Message
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Error is every problem of a manifest.
type Error []Problem

// Error renders one problem per line.
func (e Error) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// path is a place in a JSON value: strings for keys, ints for indices.
type path []any

func (p path) key(name string) path { return append(p[:len(p):len(p)], name) }
func (p path) index(i int) path     { return append(p[:len(p):len(p)], i) }

// String writes the path as Problem.Path says.
func (p path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			switch {
			case step == "" || strings.ContainsAny(step, ".[] \t\n\""):
				b.WriteString("[" + strconv.Quote(step) + "]")
			case b.Len() == 0:
				b.WriteString(step)
			default:
				b.WriteString("." + step)
			}
		}
	}
	return b.String()
}

// under puts a path in front of the paths of some problems.
func under(prefix string, found []Problem) []Problem {
	for i := range found {
		found[i].Path = Join(prefix, found[i].Path)
	}
	return found
}

// Join puts two paths together.
func Join(above, below string) string {
	if above == "" || below == "" || strings.HasPrefix(below, "[") {
		return above + below
	}
	return above + "." + below
}
