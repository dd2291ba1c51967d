package node

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Path returns the node's path in the document: stages[2].kernel.limits; empty
// for the top.
func (n *Node) Path() string {
	if n.parent == nil {
		return ""
	}
	above := n.parent.Path()
	if n.key == nil {
		return above + "[" + strconv.Itoa(n.index) + "]"
	}
	switch name := n.key.Value; {
	case name == "" || strings.ContainsAny(name, ".[] \t\n\""):
		return above + "[" + strconv.Quote(name) + "]"
	case above == "":
		return name
	default:
		return above + "." + name
	}
}

// Lookup returns the node at a path below n ("limits.memory", "steps[2]"), or
// the deepest node on the way that exists.
func (n *Node) Lookup(path string) *Node {
	for path != "" {
		name, index, rest := step(path)
		next := n.child(name, index)
		if next == nil {
			return n
		}
		n, path = next, rest
	}
	return n
}

// KeyProblem reports a finding about the field at a path below n as a whole: at
// its key, or at the key of the deepest node on the way that exists. The
// problem's path is the field's either way.
func (n *Node) KeyProblem(path, code, hint, format string, args ...any) {
	at, full := n.Lookup(path).KeyPos(), n.Path()
	if full != "" && path != "" && path[0] != '[' {
		full += "."
	}
	n.doc.report(max(1, at.Line), max(1, at.Col), full+path, code, hint, format, args...)
}

// step cuts the first element off a path: a name, or an index if name is "".
func step(path string) (name string, index int, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		inside, rest, _ := strings.Cut(path[1:], "]")
		if i, err := strconv.Atoi(inside); err == nil {
			return "", i, rest
		}
		if quoted, err := strconv.QuotedPrefix(path[1:]); err == nil {
			name, _ := strconv.Unquote(quoted)
			return name, -1, strings.TrimPrefix(path[1+len(quoted):], "]")
		}
		return inside, -1, rest
	}
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i], -1, path[i:]
	}
	return path, -1, ""
}

func (n *Node) child(name string, index int) *Node {
	if index >= 0 {
		if items := n.Items(); index < len(items) {
			return items[index]
		}
		return nil
	}
	for _, f := range n.Fields() {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// At returns the place of the character with this byte offset in a scalar's
// Raw text, and whether it is exact: text that was folded or escaped on its way
// out of the file has no exact places, and the scalar's own is returned.
func (n *Node) At(offset int) (Pos, bool) {
	p := n.Pos()
	raw := n.yaml.Value
	if n.yaml.Kind != yaml.ScalarNode || offset < 0 || offset > len(raw) || p.Line > len(n.doc.lines) || len(n.doc.lines[p.Line-1]) > maxLine {
		return p, false
	}
	if n.yaml.Style&yaml.LiteralStyle != 0 {
		return n.literalAt(offset)
	}
	start := p.Col - 1
	if n.yaml.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	text, ok := skipRunes(n.doc.lines[p.Line-1], start)
	if head := raw[:offset]; ok && strings.HasPrefix(text, head) {
		return Pos{p.File, p.Line, start + utf8.RuneCountInString(head) + 1}, true
	}
	return p, false
}

// skipRunes returns s without its first n characters; ok is false if it has
// fewer.
func skipRunes(s string, n int) (rest string, ok bool) {
	for i := range s {
		if n == 0 {
			return s[i:], true
		}
		n--
	}
	return "", n == 0
}

// literalAt finds a place in a block scalar (|), whose lines stand in the file
// as they are, behind their indentation.
func (n *Node) literalAt(offset int) (Pos, bool) {
	p, raw := n.Pos(), n.yaml.Value
	if len(raw) > maxLine {
		return p, false
	}
	head := raw[:offset]
	start := strings.LastIndexByte(head, '\n') + 1
	text, _, _ := strings.Cut(raw[start:], "\n")
	line := p.Line + 1 + strings.Count(head, "\n")
	if line > len(n.doc.lines) || !strings.HasSuffix(n.doc.lines[line-1], text) {
		return p, false
	}
	indent := strings.TrimSuffix(n.doc.lines[line-1], text)
	return Pos{p.File, line, utf8.RuneCountInString(indent+head[start:]) + 1}, true
}
