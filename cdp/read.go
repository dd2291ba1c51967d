package cdp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// chunk keeps single messages small, in characters: the connection serves other
// pages too.
const chunk = 1 << 20

var errReplaced = errors.New("the document was replaced while it was read")

// Evaluate runs a script in the page's own world and returns its value as JSON,
// at most max bytes (0: 1 MiB). With args the script must be a function; data
// belongs there and never into the script's text. undefined becomes null.
func (s *Session) Evaluate(ctx context.Context, script string, args []any, max int64) (json.RawMessage, error) {
	return s.EvaluateIn(ctx, nil, script, args, max)
}

// EvaluateIn is Evaluate in a frame (see Locator), where the script must be an
// expression.
func (s *Session) EvaluateIn(ctx context.Context, frame []string, script string, args []any, max int64) (json.RawMessage, error) {
	if max <= 0 {
		max = 1 << 20
	}
	var value json.RawMessage
	err := s.do(ctx, "the script to end", func(ctx context.Context) error {
		t, r, err := s.evaluate(ctx, frame, script, args, escaped(max))
		var large *TooLargeError
		if errors.As(err, &large) {
			return &TooLargeError{"the script's value", large.Size, max, "bytes"}
		}
		if err == nil && r.exception == "" && r.handle != "" {
			r, err = t.unwrap(ctx, r.handle, max)
		}
		if err == nil {
			value, err = checked(r, max)
		}
		return err
	})
	return value, err
}

// escaped is how many bytes a value of max bytes may take in the protocol, which
// writes six for some characters, and some around it.
func escaped(max int64) int64 { return 6*max + 64<<10 }

// evaluate runs the script where it belongs. most is for texts, see tab.evaluate.
func (s *Session) evaluate(ctx context.Context, frame []string, script string, args []any, most int64) (*tab, reply, error) {
	if len(frame) > 0 {
		return s.evaluateIn(ctx, frame, script, args, most)
	}
	r, err := s.tab.evaluate(ctx, script, most)
	if err != nil || r.exception != "" || args == nil {
		return s.tab, r, err
	}
	if r.handle == "" {
		return s.tab, r, &ScriptError{Message: "arguments are given, so the script must be a function"}
	}
	defer s.tab.release(ctx, r.handle)
	r, err = s.tab.callFunction(ctx, on{handle: r.handle, most: most}, "function (...args) { return this(...args) }", false, args...)
	return s.tab, r, err
}

// evaluateIn runs an expression in a frame. The way into the page's own world
// there is a node, which belongs to it.
func (s *Session) evaluateIn(ctx context.Context, frame []string, script string, args []any, most int64) (*tab, reply, error) {
	at, err := s.frame(ctx, frame)
	if err != nil {
		return nil, reply{}, err
	}
	node, err := at.tab.pageNode(ctx, at.world.id)
	if err != nil {
		return at.tab, reply{}, err
	}
	defer at.tab.release(ctx, node)
	call := ""
	if args != nil {
		call = "(...args)"
	}
	r, err := at.tab.callFunction(ctx, on{handle: node, most: most}, "function (...args) { return ("+script+"\n)"+call+" }", false, args...)
	return at.tab, r, err
}

// unwrap turns a handle into JSON inside the page, where its size is known
// before it is sent, and brings it here in parts.
func (t *tab) unwrap(ctx context.Context, h string, max int64) (reply, error) {
	defer t.release(ctx, h)
	const encode = `function (max, chunk) {
		const s = JSON.stringify(this) ?? "null";
		return s.length > max ? [s.length, "", 0] : [s.length, s.length <= chunk ? s : "", 0];
	}`
	// The page may have functions of its own in the place of those that are used
	// here, so that nothing they say of sizes is relied on.
	most := escaped(min(max, chunk))
	var part textPart
	r, err := t.callFunction(ctx, on{handle: h, most: most}, encode, true, max, chunk)
	if err := part.take(r, err); err != nil {
		return reply{}, err
	}
	switch {
	case part.size > max:
		return r, &TooLargeError{"the script's value", part.size, max, "characters"}
	case part.text != "":
		return reply{value: json.RawMessage(part.text)}, nil
	}
	r, err = t.callFunction(ctx, on{handle: h}, `function () { return { s: JSON.stringify(this) ?? "null" } }`, false)
	if err != nil || r.exception != "" {
		return r, err
	}
	defer t.release(ctx, r.handle)
	const slice = `function (from, chunk) {
		let to = Math.min(from + chunk, this.s.length);
		if (to < this.s.length && (this.s.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--;
		return [this.s.length, this.s.slice(from, to), to];
	}`
	var b strings.Builder
	size := part.size
	for from := int64(0); from < size; from = part.next {
		step, err := t.callFunction(ctx, on{handle: r.handle, most: most}, slice, true, from, chunk)
		if err := part.take(step, err); err != nil {
			return reply{}, err
		}
		if n := int64(b.Len() + len(part.text)); n > max {
			return reply{}, &TooLargeError{"the script's value", n, max, "bytes"}
		}
		if part.next <= from {
			return reply{}, errReader
		}
		b.WriteString(part.text)
	}
	return reply{value: json.RawMessage(b.String())}, nil
}

// textPart is a part of a long text.
type textPart struct {
	size int64 // of the whole text, in characters (UTF-16 code units)
	text string
	next int64 // where the next part begins
}

func (p *textPart) take(r reply, err error) error {
	switch {
	case err != nil:
		return err
	case r.exception != "":
		return &ScriptError{Message: r.exception}
	}
	if json.Unmarshal(r.value, &[]any{&p.size, &p.text, &p.next}) != nil {
		return errReader
	}
	return nil
}

// errReader is a page that has functions of its own in the place of those that
// read values.
var errReader = &ScriptError{Message: "the value cannot be read: the page replaced what reads it"}

func checked(r reply, max int64) (json.RawMessage, error) {
	switch {
	case r.exception != "":
		return nil, &ScriptError{Message: r.exception}
	case len(r.value) == 0:
		return json.RawMessage("null"), nil
	case int64(len(r.value)) > max:
		return nil, &TooLargeError{"the script's value", int64(len(r.value)), max, "bytes"}
	}
	return r.value, nil
}

// WaitForExpression waits until an expression in the page's own world is true
// in JavaScript's sense, in the main document or in a frame (see Locator). A promise is awaited.
func (s *Session) WaitForExpression(ctx context.Context, frame []string, expression string) error {
	return s.do(ctx, "the expression to be true: "+firstLine(expression), func(ctx context.Context) error {
		last := ""
		for {
			t, r, err := s.evaluate(ctx, frame, expression, nil, escaped(0))
			var large *TooLargeError
			switch {
			case errors.As(err, &large): // a long text, which is true
				return nil
			case err != nil && !stale(err) && !errors.Is(err, errNoFrame):
				return &waitError{last, err}
			case err != nil:
				last = "the document was replaced"
			case r.exception != "":
				last = firstLine(r.exception)
			case r.handle != "":
				t.release(ctx, r.handle)
				return nil
			default:
				if truthy(r.value) {
					return nil
				}
				last = "it is " + cmp.Or(string(r.value), "undefined")
			}
			if err := pause(ctx, waitPause); err != nil {
				return &waitError{last, err}
			}
		}
	})
}

// truthy is JavaScript's truth of a primitive.
func truthy(value json.RawMessage) bool {
	switch string(value) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// Field is one value to read from the document.
type Field struct {
	Name string `json:"name"`
	// Selector is CSS or begins with xpath/, text/ or pierce/; empty, inside
	// Fields, it is the element itself.
	Selector string `json:"selector"`
	// Attr reads this attribute as written; else Kind says what is read.
	Attr string `json:"attr,omitempty"`
	// Kind is text (the rendered text, white space squashed; the default),
	// html, number (the first number in the text), value (of a form's field),
	// table (a list of rows, objects if there is a row of headings) or json
	// (the element's text, parsed).
	Kind string `json:"kind,omitempty"`
	// Fields reads an object from below the element.
	Fields []Field `json:"fields,omitempty"`
	// All reads a list from all elements instead of the first one's value.
	All bool `json:"all,omitempty"`
	// Optional fields may be missing: null or an empty list.
	Optional bool `json:"optional,omitempty"`
}

// Extract reads fields with one operation in the page. missing names the fields
// that are not optional and not there. The values take at most max bytes of
// JSON (0: 1 MiB).
func (s *Session) Extract(ctx context.Context, fields []Field, max int64) (values json.RawMessage, missing []string, err error) {
	if max <= 0 {
		max = 1 << 20
	}
	err = s.do(ctx, "the values of the page", func(ctx context.Context) error {
		var text string
		text, missing, err = s.text(ctx, "extract", map[string]any{"fields": fields}, "what is extracted", max)
		values = json.RawMessage(text)
		return err
	})
	return values, missing, err
}

// HTML returns the rendered document with its doctype as text, at most max
// bytes (0: 10 MiB).
func (s *Session) HTML(ctx context.Context, max int64) (html string, err error) {
	if max <= 0 {
		max = 10 << 20
	}
	err = s.do(ctx, "the page's HTML", func(ctx context.Context) error {
		html, _, err = s.text(ctx, "html", map[string]any{}, "the page's HTML", max)
		return err
	})
	return html, err
}

// text reads a long text that an operation makes, in parts.
func (s *Session) text(ctx context.Context, op string, arg map[string]any, what string, max int64) (string, []string, error) {
	var r struct {
		Size    int64    `json:"size"`
		Part    string   `json:"part"`
		Next    int64    `json:"next"`
		Missing []string `json:"missing"`
	}
	arg["chunk"], arg["max"] = chunk, max
	at, err := s.callAt(ctx, Locator{}, op, arg, &r)
	if err != nil {
		return "", nil, err
	}
	if r.Size > max {
		return "", nil, &TooLargeError{what, r.Size, max, "characters"}
	}
	var b strings.Builder
	b.WriteString(r.Part)
	for r.Next < r.Size {
		part, err := s.run(ctx, at, "slice", map[string]any{"from": r.Next, "chunk": chunk}, true)
		if err := decodeReply(part, err, &r); err != nil {
			if s.staleAt(at, err) {
				err = errReplaced
			}
			return "", nil, err
		}
		b.WriteString(r.Part)
	}
	if int64(b.Len()) > max {
		return "", nil, &TooLargeError{what, int64(b.Len()), max, "bytes"}
	}
	return b.String(), r.Missing, nil
}

// Text returns the text that the first visible element shows, white space
// squashed; ok is false if there is none.
func (s *Session) Text(ctx context.Context, element Locator, max int64) (text string, ok bool, err error) {
	err = s.do(ctx, "the text of "+element.String(), func(ctx context.Context) error {
		var r struct {
			OK   bool   `json:"ok"`
			Size int64  `json:"size"`
			Text string `json:"text"`
		}
		err := s.call(ctx, element, "text", map[string]any{"max": max}, &r)
		if errors.Is(err, errNoFrame) {
			return nil
		}
		if err == nil && r.Size > max {
			err = &TooLargeError{"the element's text", r.Size, max, "characters"}
		}
		text, ok = r.Text, r.OK
		return err
	})
	return text, ok, err
}
