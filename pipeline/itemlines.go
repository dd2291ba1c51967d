package pipeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of one queued item. Larger things belong into a store, with their
// digest in the body.
const (
	// MaxItemBody is the largest body in bytes.
	MaxItemBody = 1 << 20
	// MaxItemMeta is the largest sum of the lengths of meta names and values.
	MaxItemMeta = 64 << 10
	// MaxItemName is the longest id, key and idempotency key in bytes.
	MaxItemName = 512
	// MaxPriority is the highest priority; the lowest is 0.
	MaxPriority = 9
)

// bodyLimit is the largest body that somebody takes, in bytes.
type bodyLimit int

const (
	queued     bodyLimit = MaxItemBody       // a queue
	referenced bodyLimit = MaxReferencedBody // who keeps it in a store
)

// line bounds the line of an item: a body of full size, escaped, and its meta.
func (l bodyLimit) line() int { return int(l) + 7<<20 }

// Validate reports what a queue would refuse about the item. Every driver
// calls it before it writes anything. Errors are permanent, with the code
// bad-item or body-too-large.
func (n *NewItem) Validate() error { return n.validate(queued) }

func (n *NewItem) validate(most bodyLimit) error {
	if len(n.Body) > int(most) {
		e := Fail("body-too-large", "the body has %d bytes, at most %d are allowed", len(n.Body), most)
		if most == queued {
			e = e.WithHint("waybill enqueue --bodies keeps larger ones in an object store")
		}
		return e
	}
	if len(n.Body) > 0 && !json.Valid(n.Body) {
		return Fail("bad-item", "the body is not one JSON value")
	}
	if !utf8.Valid(n.Body) { // encoding/json lets it pass, RFC 8259 does not
		return Fail("bad-item", "the body is not UTF-8").WithHint("JSON is always UTF-8: RFC 8259, section 8.1")
	}
	names := []struct{ name, value string }{{"id", n.ID}, {"key", n.Key}, {"idempotencyKey", n.IdempotencyKey}}
	for _, f := range names {
		if len(f.value) > MaxItemName || !utf8.ValidString(f.value) || strings.ContainsAny(f.value, "\x00\n\r") {
			return Fail("bad-item", "%s: want at most %d bytes of UTF-8 on one line", f.name, MaxItemName)
		}
	}
	if n.Priority < 0 || n.Priority > MaxPriority {
		return Fail("bad-item", "priority %d: want 0 (lowest) to %d (highest)", n.Priority, MaxPriority)
	}
	if n.MaxAttempts < 0 {
		return Fail("bad-item", "maxAttempts %d: want 1 or more, or 0 for the pipeline's", n.MaxAttempts)
	}
	size := 0
	for name, value := range n.Meta {
		size += len(name) + len(value)
	}
	if size > MaxItemMeta {
		return Fail("bad-item", "meta has %d bytes, at most %d are allowed", size, MaxItemMeta)
	}
	if err := n.checkIdempotency(); err != nil {
		return err
	}
	return checkBodyRef(n)
}

// checkIdempotency reports a scope or time to live that means nothing.
func (n *NewItem) checkIdempotency() error {
	switch {
	case n.IdempotencyScope != "" && n.IdempotencyScope != ScopeItem && n.IdempotencyScope != ScopeActive:
		return Fail("bad-item", "idempotencyScope %q: want %q or %q", n.IdempotencyScope, ScopeItem, ScopeActive)
	case n.IdempotencyTTL < 0 || n.IdempotencyTTL > 0 && n.IdempotencyTTL.D() < time.Millisecond:
		return Fail("bad-item", "idempotencyTTL %s: want 1ms or more, or none", n.IdempotencyTTL)
	case n.IdempotencyKey == "" && (n.IdempotencyScope != "" || n.IdempotencyTTL != 0):
		return Fail("bad-item", "idempotencyScope and idempotencyTTL are of an idempotencyKey, and there is none")
	}
	return nil
}

// ReadItems reads items from lines of JSON, the format of `waybill enqueue`:
//
//	{"id":"a","key":"example.com","body":{"url":"https://example.com/"},"meta":{"depth":1},"priority":5}
//
// An error names the line as name:line, or name:line:column if the line is not
// JSON, and does not end the sequence: the next lines follow, so that a caller
// can report all bad lines or stop at the first. Only an error of the reader
// itself is the last element. Blank lines are left out.
func ReadItems(r io.Reader, name string) iter.Seq2[ItemLine, error] {
	return readItems(r, name, queued)
}

// ReadLargeItems is ReadItems for bodies of up to MaxReferencedBody, which the
// caller puts into a store before the item is enqueued (BodyRef).
func ReadLargeItems(r io.Reader, name string) iter.Seq2[ItemLine, error] {
	return readItems(r, name, referenced)
}

func readItems(r io.Reader, name string, most bodyLimit) iter.Seq2[ItemLine, error] {
	return func(yield func(ItemLine, error) bool) {
		for line, err := range ReadLongLines(r, most.line()) {
			if err == nil || errors.As(err, new(longLine)) {
				it := ItemLine{Line: line.Number}
				if err == nil {
					it.NewItem, err = parseItem(line.Text, most)
				}
				if err != nil {
					it, err = ItemLine{Line: line.Number}, fmt.Errorf("%s:%d%s: %w", name, line.Number, line.column(err), err)
				}
				if !yield(it, err) {
					return
				}
				continue
			}
			yield(ItemLine{Line: line.Number}, fmt.Errorf("%s: %w", name, err))
			return
		}
	}
}

// ItemLine is an item and the number of its line, which counts from 1.
type ItemLine struct {
	NewItem
	Line int
}

// Line is a line of input that is not blank; numbers count from 1.
type Line struct {
	Number int
	// Text is without the line's end and the space around it; it may be kept.
	Text []byte

	indent int // characters before Text
}

// column renders ":column" of an error that is about a place in the line, in
// characters and from 1.
func (l *Line) column(err error) string {
	var bad *badJSON
	if !errors.As(err, &bad) {
		return ""
	}
	return fmt.Sprintf(":%d", l.indent+utf8.RuneCount(l.Text[:min(bad.offset, len(l.Text))])+1)
}

// longLine is a line of more bytes than this.
type longLine int

func (l longLine) Error() string { return fmt.Sprintf("the line is longer than %d bytes", int(l)) }

// ReadLines reads lines of any ending, without blank ones and a byte order
// mark. A line that is too long is an error for that line only; any other
// error is the last element.
func ReadLines(r io.Reader) iter.Seq2[Line, error] { return ReadLongLines(r, queued.line()) }

// ReadLongLines is ReadLines for lines of at most so many bytes.
func ReadLongLines(r io.Reader, most int) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		br := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			text, tooLong, err := readLine(br, most)
			if n == 1 {
				text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
			}
			indent := utf8.RuneCount(text[:len(text)-len(bytes.TrimLeftFunc(text, unicode.IsSpace))])
			text = bytes.TrimSpace(text)
			switch {
			case tooLong:
				if !yield(Line{Number: n, Text: text, indent: indent}, longLine(most)) {
					return
				}
			case len(text) > 0:
				if !yield(Line{Number: n, Text: text, indent: indent}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Line{Number: n}, err)
				return
			}
		}
	}
}

// readLine reads one line; of one that is too long it keeps the beginning.
func readLine(br *bufio.Reader, most int) (text []byte, tooLong bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if !tooLong {
			text = append(text, part...)
		}
		if len(text) > most {
			text, tooLong = text[:1024], true
		}
		if err != bufio.ErrBufferFull {
			return text, tooLong, err
		}
	}
}

// ParseItem parses one line of ReadItems strictly: unknown and repeated fields
// are errors; numbers and bools in meta become text, anything deeper and names
// that begin with MetaReserved are refused.
func ParseItem(line []byte) (NewItem, error) { return parseItem(line, queued) }

func parseItem(line []byte, most bodyLimit) (NewItem, error) {
	var it NewItem
	if !utf8.Valid(line) {
		return it, Fail("bad-item", "%w", notUTF8(line))
	}
	err := eachField(line, func(name string, raw json.RawMessage) error {
		dst, ok := map[string]any{
			"id": &it.ID, "key": &it.Key, "idempotencyKey": &it.IdempotencyKey,
			"idempotencyScope": &it.IdempotencyScope, "idempotencyTTL": (*durationText)(&it.IdempotencyTTL), "body": &it.Body,
			"priority": &it.Priority, "notBefore": &it.NotBefore, "deadline": &it.Deadline,
			"maxAttempts": &it.MaxAttempts,
		}[name]
		switch {
		case name == "meta":
			return parseMeta(raw, &it)
		case name == "trace":
			return parseTrace(raw, &it.Trace)
		case !ok:
			return fmt.Errorf("unknown field %q (an item has id, key, idempotencyKey, idempotencyScope, idempotencyTTL, body, meta, "+
				"priority, notBefore, deadline, maxAttempts, trace; your own data goes into body)", name)
		}
		if err := json.Unmarshal(raw, dst); err != nil {
			return fmt.Errorf("%s: want %s", name, wanted(name, dst))
		}
		return nil
	})
	if err != nil {
		return NewItem{}, Fail("bad-item", "%w", located(line, err))
	}
	if err := it.validate(most); err != nil {
		return NewItem{}, err
	}
	return it, nil
}

// durationText is a duration in JSON, written as in pipeline files.
type durationText Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *durationText) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = durationText(v)
	return err
}

// wanted says what a field of an item takes.
func wanted(name string, dst any) string {
	switch dst.(type) {
	case *string:
		return "text"
	case *int:
		if name == "priority" {
			return fmt.Sprintf("a whole number 0 to %d", MaxPriority)
		}
		return "a whole number"
	case *time.Time:
		return "RFC 3339, like 2026-01-02T15:04:05Z"
	case *durationText:
		return "a duration, like 24h or 30m"
	}
	return "one JSON value"
}

// badJSON is a line that is not JSON, from a byte on.
type badJSON struct {
	offset int
	error
}

func (e *badJSON) Unwrap() error { return e.error }

// located adds to err the first byte that cannot be JSON, if there is one.
func located(line []byte, err error) error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(line, &raw), &syntax) {
		return err
	}
	if errors.Is(err, errCutOff) {
		return &badJSON{len(line), err}
	}
	return &badJSON{max(0, int(syntax.Offset)-1), err}
}

func notUTF8(line []byte) error {
	offset := 0
	for {
		r, n := utf8.DecodeRune(line[offset:])
		if r == utf8.RuneError && n <= 1 {
			return &badJSON{offset, errors.New("the line is not UTF-8")}
		}
		offset += n
	}
}

// parseMeta turns a flat object into strings.
func parseMeta(raw json.RawMessage, it *NewItem) error {
	it.Meta = map[string]string{}
	return eachField(raw, func(name string, raw json.RawMessage) error {
		if strings.HasPrefix(name, MetaReserved) {
			return fmt.Errorf("meta.%s: names that begin with %q are reserved", name, MetaReserved)
		}
		switch raw[0] {
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("meta.%s: %w", name, err)
			}
			it.Meta[name] = s
		case '{', '[', 'n':
			return fmt.Errorf("meta.%s: want text, a number or a bool (structures go into body)", name)
		default:
			it.Meta[name] = string(raw)
		}
		return nil
	})
}

func parseTrace(raw json.RawMessage, tc *TraceContext) error {
	return eachField(raw, func(name string, raw json.RawMessage) error {
		switch name {
		case "traceparent":
			return json.Unmarshal(raw, &tc.Parent)
		case "tracestate":
			return json.Unmarshal(raw, &tc.State)
		}
		return fmt.Errorf("trace: unknown field %q", name)
	})
}

// eachField calls f for the fields of one JSON object in their order. Unlike
// encoding/json it refuses repeated names and tells cases apart.
func eachField(text []byte, f func(name string, raw json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil {
		return plainEOF(err)
	} else if t != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return plainEOF(err)
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("field %q twice", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return plainEOF(err)
		}
		if err := f(name, raw); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return plainEOF(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	return nil
}

var errCutOff = errors.New("the JSON object is cut off")

func plainEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}
