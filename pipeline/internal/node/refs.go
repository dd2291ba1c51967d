package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxFileRef is the largest file that ${file:} reads, in bytes.
const MaxFileRef = 64 << 10

// SegmentKind says what a part of a scalar's text is.
type SegmentKind uint8

const (
	Literal    SegmentKind = iota
	Reference              // ${env:NAME} or ${file:path}
	Expression             // ${{ ... }}
)

// Segment is a part of a scalar's text.
type Segment struct {
	Kind SegmentKind
	// Text is the literal text, the resolved value, or the expression's source.
	Text string
	// Offset is where the text, or what it was made from, starts in Raw.
	Offset int
	// Open: the end (}} or }) is missing.
	Open bool
}

// reference is a scalar that has references, after resolving them.
type reference struct {
	segments []Segment
	text     string
	secret   bool // false once a public field has taken it
}

// Segments splits a scalar's text into literals, references (resolved) and
// ${{ expressions }}. A doubled dollar, $${, stands for ${ itself. Values that
// came from references are never looked into again, so they cannot bring
// expressions with them.
func (n *Node) Segments() []Segment {
	if r := n.doc.refs[n.yaml]; r != nil {
		return r.segments
	}
	if n.doc.literal {
		return []Segment{{Kind: Literal, Text: n.yaml.Value}}
	}
	segments, _ := split(n.yaml.Value)
	return segments
}

// Secrets returns the non-empty values of all references but those that a
// field has declared public, each once.
func (d *Document) Secrets() []string {
	var out []string
	seen := map[string]bool{}
	d.eachReference(func(r *reference) {
		for _, s := range r.segments {
			if s.Kind == Reference && s.Text != "" && r.secret && !seen[s.Text] {
				seen[s.Text] = true
				out = append(out, s.Text)
			}
		}
	})
	return out
}

// eachReference visits references in file order, so that results do not
// depend on the order of a map.
func (d *Document) eachReference(visit func(*reference)) {
	if d.root == nil || len(d.refs) == 0 {
		return
	}
	var walk func(y *yaml.Node)
	walk = func(y *yaml.Node) {
		if r := d.refs[y]; r != nil {
			visit(r)
		}
		for _, c := range y.Content {
			walk(c)
		}
	}
	walk(d.root.yaml)
}

// resolve finds the references of a scalar and replaces them by their values;
// the result is text, whatever it looks like.
func (d *Document) resolve(y *yaml.Node, at *Node) {
	if d.literal || !strings.Contains(y.Value, "${") || d.refs[y] != nil {
		return
	}
	segments, resolvable := split(y.Value)
	if !resolvable {
		return
	}
	var text strings.Builder
	for i := range segments {
		s := &segments[i]
		switch s.Kind {
		case Reference:
			d.resolveSegment(s, at)
			text.WriteString(s.Text)
		case Expression:
			text.WriteString("${{" + s.Text + "}}")
		case Literal:
			text.WriteString(s.Text)
		}
	}
	d.refs[y] = &reference{segments: segments, text: text.String(), secret: true}
}

func (d *Document) resolveSegment(s *Segment, at *Node) {
	value, isDefault, problem := d.value(s.Text)
	if s.Open {
		value, problem = "", &referenceProblem{CodeBadReference, "the reference is not closed", "end it with }"}
	}
	if problem != nil {
		d.faulty[at.yaml] = true
		at.ProblemAt(s.Offset, problem.code, problem.hint, "%s", problem.message)
	}
	if s.Text = value; isDefault {
		s.Kind = Literal // it stands in the file for everybody to read
	}
}

type referenceProblem struct{ code, message, hint string }

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// value resolves the inside of a reference: env:NAME, env:NAME:-default or
// file:path.
func (d *Document) value(ref string) (value string, isDefault bool, problem *referenceProblem) {
	kind, rest, _ := strings.Cut(ref, ":")
	if kind == "file" {
		value, problem = d.fileValue(rest)
		return value, false, problem
	}
	name, fallback, hasFallback := strings.Cut(rest, ":-")
	if !envName.MatchString(name) {
		return "", false, &referenceProblem{CodeBadReference, fmt.Sprintf("%q is not the name of an environment variable", name), "write ${env:NAME} or ${env:NAME:-default}"}
	}
	v, ok := os.LookupEnv(name)
	switch {
	case hasFallback && v == "":
		return fallback, true, nil
	case !ok:
		return "", false, &referenceProblem{CodeUnresolved, "the environment variable " + name + " is not set", "set it, or give a default: ${env:" + name + ":-default}"}
	case !utf8.ValidString(v):
		return "", false, &referenceProblem{CodeUnresolved, "the environment variable " + name + " is not UTF-8", ""}
	}
	return v, false, nil
}

// fileValue reads a small text file; one newline at its end does not count.
func (d *Document) fileValue(path string) (string, *referenceProblem) {
	if path == "" {
		return "", &referenceProblem{CodeBadReference, "a file reference needs a path", "write ${file:path}, relative to the pipeline file"}
	}
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(d.dir, path)
	}
	b, err := readSmall(full)
	if err != nil {
		return "", &referenceProblem{CodeUnresolved, fmt.Sprintf("the file %q %v", path, err), "the path is relative to the pipeline file"}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// readSmall reads a regular text file of at most MaxFileRef bytes. Its errors
// go on after "the file x".
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path) // before the open, which would block on a pipe
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("does not exist")
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case err == nil && info.Size() > MaxFileRef:
		return nil, fmt.Errorf("is larger than %d bytes", MaxFileRef)
	}
	b, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	case !utf8.Valid(b):
		return nil, errors.New("is not UTF-8 text")
	}
	return b, nil
}

// split cuts text into segments and reports whether there is anything to
// resolve: a reference, or one that is quoted by doubling its dollar. Anything
// else that starts with ${ is literal: scripts in a pipeline use it too.
func split(text string) (segments []Segment, resolvable bool) {
	var literal strings.Builder
	start := 0
	flush := func() {
		if literal.Len() > 0 {
			segments = append(segments, Segment{Kind: Literal, Text: literal.String(), Offset: start})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		if kind, inside, size, open := special(text[i:]); size > 0 {
			flush()
			offset := i
			if kind == Expression {
				offset += len("${{")
			}
			resolvable = resolvable || kind == Reference
			segments = append(segments, Segment{kind, inside, offset, open})
			i += size
			continue
		}
		if literal.Len() == 0 {
			start = i
		}
		if strings.HasPrefix(text[i:], "$${") {
			if _, _, size, _ := special(text[i+1:]); size > 0 {
				literal.WriteString(text[i+1 : i+1+size])
				resolvable = true
				i += 1 + size
				continue
			}
		}
		literal.WriteByte(text[i])
		i++
	}
	flush()
	return segments, resolvable
}

// special recognises a reference or an expression at the start of s; size 0
// means neither. One that is not closed takes the rest.
func special(s string) (kind SegmentKind, inside string, size int, open bool) {
	switch {
	case strings.HasPrefix(s, "${{"):
		if end := expressionEnd(s[3:]); end >= 0 {
			return Expression, s[3 : 3+end], 3 + end + 2, false
		}
		return Expression, s[3:], len(s), true
	case strings.HasPrefix(s, "${env:"), strings.HasPrefix(s, "${file:"):
		if end := strings.IndexByte(s, '}'); end >= 0 {
			return Reference, s[2:end], end + 1, false
		}
		return Reference, s[2:], len(s), true
	}
	return 0, "", 0, false
}

// expressionEnd returns where the }} stands that ends an expression, or -1.
// Quotes and nested braces do not end it.
func expressionEnd(s string) int {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}' && i+1 < len(s) && s[i+1] == '}':
			return i
		}
	}
	return -1
}

// Split cuts a text into literals and ${{ expressions }}; references stay
// literal.
func Split(text string) []Segment {
	segments, _ := split(text)
	for i := range segments {
		if s := &segments[i]; s.Kind == Reference {
			s.Kind, s.Text = Literal, "${"+s.Text+"}"
		}
	}
	return segments
}
