package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Media types that Body tells apart by itself.
const (
	MediaJSON   = "application/json"
	MediaText   = "text/plain; charset=utf-8"
	MediaBinary = "application/octet-stream"
)

// Body holds an item's value as bytes, as a decoded value, or both; each form
// is made from the other only when somebody asks for it. The zero Body is
// empty: its bytes have length 0 and its value is nil.
type Body struct {
	raw      []byte
	value    any
	media    string
	hasRaw   bool
	hasValue bool
	guessed  bool // media was found out, not given
}

// JSONBody returns a body with a value made of nil, bool, int, float64,
// string, []any and map[string]any.
func JSONBody(v any) Body { return Body{value: v, hasValue: true, media: MediaJSON} }

// RawBody returns a body with these bytes, which the caller no longer changes.
// An empty media type means "find out when asked".
func RawBody(b []byte, media string) Body { return Body{raw: b, hasRaw: true, media: media} }

// IsZero reports whether the body was never set.
func (b *Body) IsZero() bool { return !b.hasRaw && !b.hasValue }

// Bytes returns the body's bytes; a value is encoded as JSON without HTML
// escaping and with sorted keys. The result must not be changed.
func (b *Body) Bytes() ([]byte, error) {
	if b.hasRaw || !b.hasValue {
		return b.raw, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b.value); err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	b.raw, b.hasRaw = bytes.TrimSuffix(buf.Bytes(), []byte("\n")), true
	return b.raw, nil
}

// Value returns the decoded body: for JSON the usual Go values with whole
// numbers as int where they fit, for other text a string. Bytes that are
// neither are an error. The result must not be changed; use SetValue.
func (b *Body) Value() (any, error) {
	if b.hasValue || !b.hasRaw {
		return b.value, nil
	}
	if b.media == "" || b.media == MediaJSON {
		v, err := DecodeJSON(b.raw)
		if err == nil {
			b.guessed = b.guessed || b.media == ""
			b.value, b.hasValue, b.media = v, true, MediaJSON
			return v, nil
		}
		if b.media == MediaJSON {
			return nil, fmt.Errorf("decode body: %w", err)
		}
	}
	if !utf8.Valid(b.raw) {
		return nil, errors.New("the body is binary: it has no value for an expression")
	}
	b.value, b.hasValue = string(b.raw), true
	if b.media == "" {
		b.media = MediaText
	}
	return b.value, nil
}

// Content returns the bytes as a program wants to read them: those of Bytes, but
// of a body that is known to be JSON and is a string, the text itself. What was
// never said to be JSON stays as it is.
func (b *Body) Content() ([]byte, error) {
	if b.media == MediaJSON && !b.guessed && (!b.hasRaw || bytes.HasPrefix(bytes.TrimLeft(b.raw, " \t\r\n"), []byte{'"'})) {
		v, err := b.Value()
		if err != nil {
			return nil, err
		}
		if text, ok := v.(string); ok {
			return []byte(text), nil
		}
	}
	return b.Bytes()
}

// MediaType returns the media type that was given or found out.
func (b *Body) MediaType() string {
	if b.media == "" {
		if _, err := b.Value(); err != nil {
			b.media = MediaBinary
		}
	}
	return b.media
}

// DecodeJSON decodes exactly one JSON value; whole numbers that fit become int.
func DecodeJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}
