package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of a file. A pipeline that a person wrote is far below all of them.
const (
	// MaxSize is the largest file, in bytes.
	MaxSize = 1 << 20
	// MaxDepth is how deep values may be nested.
	MaxDepth = 64
	// MaxAliased is how many values all aliases of a file may stand for.
	MaxAliased = 10_000
)

// Document is one parsed file. It is not safe for concurrent use.
type Document struct {
	file, dir string
	src       []byte
	lines     []string
	root      *Node
	problems  Problems
	refs      map[*yaml.Node]*reference
	faulty    map[*yaml.Node]bool // keys and values that were reported already, not to be decoded
	types     map[reflect.Type]*structInfo
	literal   bool        // references and expressions are text
	included  []*Document // files that nodes named, in the order of the walk
}

// Parse reads a file's content. name stands in positions; relative ${file:}
// paths start at dir. Whatever is wrong with the text is in Problems; Root is
// nil if there is no tree at all.
func Parse(name, dir string, src []byte) *Document {
	return parse(&Document{file: name, dir: dir}, src)
}

func parse(d *Document, src []byte) *Document {
	d.src, d.refs, d.faulty, d.types = src, map[*yaml.Node]*reference{}, map[*yaml.Node]bool{}, map[reflect.Type]*structInfo{}
	if len(src) > MaxSize {
		d.report(1, 1, "", CodeTooLarge, "split the pipeline", "the file has %d bytes; at most %d are read", len(src), MaxSize)
		return d
	}
	d.lines = splitLines(string(src))
	if line, col, ok := invalidUTF8(src); ok {
		d.report(line, col, "", CodeNotUTF8, "save the file as UTF-8", "byte 0x%02x is not UTF-8", invalidByte(src))
		return d
	}
	docs, err := parseYAML(src)
	switch {
	case err != nil:
		line, col, message, hint := locateSyntax(src, err)
		d.report(line, col, "", CodeSyntax, hint, "%s", message)
		return d
	case len(docs) == 0:
		d.report(1, 1, "", CodeEmptyFile, "", "the file has no content")
		return d
	case len(docs) > 1:
		d.report(max(1, docs[1].Line), max(1, docs[1].Column), "", CodeTwoDocuments, "one pipeline per file: remove the ---", "a second YAML document starts here")
	}
	top := docs[0].Content[0]
	if root := (&Node{doc: d, yaml: top}); d.audit(root) {
		d.root = root
	}
	return d
}

// Root returns the top value, or nil if the file cannot be walked safely.
func (d *Document) Root() *Node { return d.root }

// Problems returns all findings so far, in file order; those in included files
// come last.
func (d *Document) Problems() Problems {
	out := d.problems.sorted()
	for _, other := range d.included {
		out = append(out, other.Problems()...)
	}
	return out
}

// Missing reports a finding about the document as a whole, for files that
// could not even be read.
func Missing(name, code, hint, message string) Problems {
	return Problems{{Pos: Pos{name, 1, 1}, Code: code, Hint: hint, Message: message}}
}

func (d *Document) report(line, col int, path, code, hint, format string, args ...any) {
	p := Problem{Pos: Pos{d.file, line, col}, Path: path, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
	if line >= 1 && line <= len(d.lines) {
		p.Source = d.lines[line-1]
	}
	d.problems = append(d.problems, p)
}

// parseYAML returns the documents of src, two at most. yaml.v3 is archived; a
// panic in it is a syntax error here.
func parseYAML(src []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("the YAML parser failed: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for len(docs) < 2 {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		if len(n.Content) == 1 {
			docs = append(docs, &n)
		}
	}
	return docs, nil
}

func splitLines(s string) []string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

func invalidUTF8(src []byte) (line, col int, found bool) {
	line, col = 1, 1
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			return line, col, true
		}
		if col++; r == '\n' {
			line, col = line+1, 1
		}
		src = src[n:]
	}
	return 0, 0, false
}

func invalidByte(src []byte) byte {
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			return src[0]
		}
		src = src[n:]
	}
	return 0
}
