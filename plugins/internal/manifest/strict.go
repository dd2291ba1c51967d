package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep values may nest, the same as in pipeline files.
const maxDepth = 64

// maxNumber is the longest number, in characters.
const maxNumber = 400

// strictJSON parses JSON that has one meaning only: UTF-8, no key twice, no
// nesting that would cost a reader its stack, no number beyond float64. Objects
// are maps, numbers json.Number.
func strictJSON(raw []byte) (any, []Problem) {
	if !utf8.Valid(raw) {
		return nil, []Problem{{Message: "not UTF-8", Code: codeSyntax}}
	}
	r := strictReader{dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	v, err := r.value(nil)
	if err == nil {
		if _, next := r.dec.Token(); !errors.Is(next, io.EOF) {
			err = fmt.Errorf("at byte %d: more text after the value", r.dec.InputOffset())
		}
	}
	if err != nil {
		return nil, append(r.found, Problem{Message: "not JSON: " + err.Error(), Code: codeSyntax})
	}
	return v, r.found
}

type strictReader struct {
	dec   *json.Decoder
	found []Problem
}

func (r *strictReader) value(at path) (any, error) {
	if len(at) > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := r.dec.Token()
	if err != nil {
		return nil, ended(err)
	}
	switch t {
	case json.Delim('{'):
		return r.object(at)
	case json.Delim('['):
		return r.list(at)
	}
	if n, ok := t.(json.Number); ok && !sane(n) {
		r.found = append(r.found, Problem{at.String(), "the number is too large, too small or too long", codeSyntax, ""})
		return json.Number("0"), nil
	}
	return t, nil
}

func (r *strictReader) object(at path) (any, error) {
	m := map[string]any{}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return nil, ended(err)
		}
		name := key.(string) // the decoder takes nothing else for a key
		below := at.key(name)
		if _, twice := m[name]; twice {
			r.found = append(r.found, Problem{below.String(), "set twice", codeSyntax, "keep one of the two"})
		}
		if m[name], err = r.value(below); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token()
	return m, ended(err)
}

func (r *strictReader) list(at path) (any, error) {
	l := []any{}
	for r.dec.More() {
		v, err := r.value(at.index(len(l)))
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	_, err := r.dec.Token()
	return l, ended(err)
}

// ended puts the end of the text into words.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the text ends too early")
	}
	return err
}

// sane reports whether a number can be computed with at little cost: the
// validator's arithmetic is exact, and 1e-999999 would have a million digits.
func sane(n json.Number) bool {
	f, err := strconv.ParseFloat(string(n), 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(string(n)), "e")
	underflow := f == 0 && strings.ContainsAny(mantissa, "123456789")
	return len(n) <= maxNumber && err == nil && !underflow
}
