package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Locate finds the line and column, both from 1, of a problem in the JSON that it
// was found in; columns count characters. An absent key is located at the object
// that lacks it, text that is no JSON where it stops being some, and what is wrong
// with all of the text at its beginning.
func Locate(raw []byte, p Problem) (line, column int) {
	l := locator{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw)), at: make(map[string]int)}
	_ = l.value(nil) // as far as it is JSON
	offset, syntax := l.at[l.nearest(p.Path)], new(json.SyntaxError)
	if p.Path == "" && errors.As(json.Unmarshal(raw, new(json.RawMessage)), &syntax) {
		offset = max(0, int(syntax.Offset)-1)
	}
	before := raw[:min(offset, len(raw))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// locator notes where each value of a text begins: a member of an object at its
// key, and of two with one key the second.
type locator struct {
	raw []byte
	dec *json.Decoder
	at  map[string]int // offset by path
}

// next is the offset of the next token.
func (l *locator) next() int {
	from := min(int(l.dec.InputOffset()), len(l.raw))
	return len(l.raw) - len(bytes.TrimLeft(l.raw[from:], " \t\r\n,:"))
}

func (l *locator) value(p path) error {
	if _, isMember := l.at[p.String()]; !isMember || len(p) == 0 {
		l.at[p.String()] = l.next()
	}
	t, err := l.dec.Token()
	if err != nil || len(p) > maxDepth {
		return err
	}
	switch t {
	case json.Delim('{'):
		return l.members(p)
	case json.Delim('['):
		for i := 0; l.dec.More(); i++ {
			if err := l.value(p.index(i)); err != nil {
				return err
			}
		}
		_, err = l.dec.Token()
	}
	return err
}

func (l *locator) members(p path) error {
	for l.dec.More() {
		at := l.next()
		key, err := l.dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string) // the decoder lets pass nothing else
		below := p.key(name)
		l.at[below.String()] = at
		if err := l.value(below); err != nil {
			return err
		}
	}
	_, err := l.dec.Token()
	return err
}

// nearest is the longest path that exists of a path and those above it.
func (l *locator) nearest(path string) (found string) {
	for at := range l.at {
		rest, ok := strings.CutPrefix(path, at)
		if ok && len(at) > len(found) && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			found = at
		}
	}
	return found
}
