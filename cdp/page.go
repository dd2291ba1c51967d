package cdp

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

//go:embed page.js
var pageScript string

// world is our isolated world in one document.
type world struct {
	loader string
	id     int64
}

// call runs an operation of page.js in the current document and decodes its
// result. A document that is replaced meanwhile is not an error: the operation
// runs again in the new one, until ctx ends.
func (s *Session) call(ctx context.Context, op string, arg, result any) error {
	for {
		r, err := s.callOnce(ctx, op, arg)
		switch {
		case err == nil && r.exception == "":
			return json.Unmarshal(r.value, result)
		case err == nil && strings.Contains(r.exception, "SyntaxError"):
			return &SelectorError{Message: firstLine(r.exception)}
		case err == nil:
			return &ScriptError{Message: r.exception}
		case !stale(err):
			return err
		}
		s.world = world{}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Session) callOnce(ctx context.Context, op string, arg any) (reply, error) {
	loader := s.events.state().loader
	if s.world.id == 0 || s.world.loader != loader {
		id, err := s.tab.isolatedWorld(ctx)
		if err != nil {
			return reply{}, err
		}
		s.world = world{loader, id}
	}
	return s.tab.callFunction(ctx, on{world: s.world.id}, pageScript, true, op, arg)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// answer is what the operations that look for one element return.
type answer struct {
	OK  bool   `json:"ok"`
	Why string `json:"why"`
	// Done: nothing is left to do outside the page.
	Done bool    `json:"done"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	Rect rect    `json:"rect"`
}

// until repeats an operation until it says ok; when ctx ends first, the error
// carries the last reason.
func (s *Session) until(ctx context.Context, op string, arg map[string]any) (answer, error) {
	last := ""
	for {
		var a answer
		if err := s.call(ctx, op, arg, &a); err != nil {
			return a, &waitError{last, err}
		}
		if a.OK {
			return a, nil
		}
		last = a.Why
		if err := pause(ctx, 25*time.Millisecond); err != nil {
			return a, &waitError{last, err}
		}
	}
}

// State is what WaitFor waits for.
type State string

const (
	Present State = "present" // an element is in the document
	Visible State = "visible" // an element can be seen
	Hidden  State = "hidden"  // no element can be seen
)

// waitSlice is how long one wait stays inside the page, where nothing has to be
// sent to look again.
const waitSlice = 500 * time.Millisecond

// WaitFor waits until an element that one of the selectors matches is in that
// state. Selectors are CSS or begin with xpath/, text/ or pierce/.
func (s *Session) WaitFor(ctx context.Context, selectors []string, state State) error {
	return s.do(ctx, fmt.Sprintf("element %s to be %s", quoted(selectors), state), func(ctx context.Context) error {
		_, err := s.until(ctx, "wait", map[string]any{"selectors": selectors, "state": state, "ms": waitSlice.Milliseconds()})
		return err
	})
}

// Has reports whether an element is in that state now.
func (s *Session) Has(ctx context.Context, selectors []string, state State) (ok bool, err error) {
	err = s.do(ctx, "element "+quoted(selectors), func(ctx context.Context) error {
		var a answer
		err := s.call(ctx, "wait", map[string]any{"selectors": selectors, "state": state, "ms": 0}, &a)
		ok = a.OK
		return err
	})
	return ok, err
}

// Click waits until the element can be clicked (visible, enabled, not covered),
// clicks its middle with the mouse, and waits for the page that this leads to,
// if it does.
func (s *Session) Click(ctx context.Context, selectors []string) error {
	return s.do(ctx, "element "+quoted(selectors)+" to be clickable", func(ctx context.Context) error {
		a, err := s.until(ctx, "point", map[string]any{"selectors": selectors})
		if err != nil {
			return err
		}
		before := s.events.state()
		if err := s.tab.click(ctx, a.X, a.Y); err != nil {
			return err
		}
		return s.settle(ctx, before)
	})
}

// Type waits for the field and enters text as if it were typed; clear replaces
// what is there. In a drop-down list it chooses the option with this value or
// label.
func (s *Session) Type(ctx context.Context, selectors []string, text string, clear bool) error {
	return s.do(ctx, "field "+quoted(selectors)+" to take text", func(ctx context.Context) error {
		a, err := s.until(ctx, "focus", map[string]any{"selectors": selectors, "clear": clear, "value": text})
		if err != nil || a.Done || text == "" {
			return err
		}
		return s.tab.insertText(ctx, text)
	})
}

// Evaluate runs a script in the page's own world and returns its value as JSON,
// at most max bytes (0: 1 MiB). With args the script must be a function; data
// belongs there and never into the script's text. undefined becomes null.
func (s *Session) Evaluate(ctx context.Context, script string, args []any, max int64) (json.RawMessage, error) {
	if max <= 0 {
		max = 1 << 20
	}
	var value json.RawMessage
	err := s.do(ctx, "the script to end", func(ctx context.Context) error {
		r, err := s.tab.evaluate(ctx, script)
		if err == nil && r.exception == "" && args != nil {
			if r.handle == "" {
				return &ScriptError{Message: "arguments are given, so the script must be a function"}
			}
			fn := r.handle
			r, err = s.tab.callFunction(ctx, on{handle: fn}, "function (...args) { return this(...args) }", false, args...)
			s.tab.release(ctx, fn)
		}
		if err == nil && r.exception == "" && r.handle != "" {
			r, err = s.unwrap(ctx, r.handle, max)
		}
		if err != nil {
			return err
		}
		value, err = checked(r, max)
		return err
	})
	return value, err
}

// unwrap turns a handle into JSON inside the page, where its size is known
// before it is sent.
func (s *Session) unwrap(ctx context.Context, handle string, max int64) (reply, error) {
	defer s.tab.release(ctx, handle)
	const encode = `function (max) {
		const s = JSON.stringify(this);
		return s === undefined ? [0, "null"] : s.length > max ? [s.length, ""] : [s.length, s];
	}`
	r, err := s.tab.callFunction(ctx, on{handle: handle}, encode, true, max)
	if err != nil || r.exception != "" {
		return r, err
	}
	var text string
	var size int64
	if err := json.Unmarshal(r.value, &[]any{&size, &text}); err != nil {
		return r, err
	}
	if text == "" {
		return r, &TooLargeError{"the script's value", size, max, "characters"}
	}
	return reply{value: json.RawMessage(text)}, nil
}

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

// Field is one value to read from the document.
type Field struct {
	Name string `json:"name"`
	// Selector is CSS or begins with xpath/, text/ or pierce/.
	Selector string `json:"selector"`
	// Attr reads this attribute as written; else Kind says what is read.
	Attr string `json:"attr,omitempty"`
	// Kind is text (the rendered text, white space squashed; the default),
	// html or number (the first number in the text).
	Kind string `json:"kind,omitempty"`
	// All reads a list from all elements instead of the first one's value.
	All bool `json:"all,omitempty"`
	// Optional fields may be missing: null or an empty list.
	Optional bool `json:"optional,omitempty"`
}

// Extract reads fields with one call into the page. missing names the fields
// that are not optional and not there. The values take at most max bytes of
// JSON (0: 1 MiB).
func (s *Session) Extract(ctx context.Context, fields []Field, max int64) (values json.RawMessage, missing []string, err error) {
	if max <= 0 {
		max = 1 << 20
	}
	err = s.do(ctx, "the values of the page", func(ctx context.Context) error {
		var r struct {
			JSON    string   `json:"json"`
			Missing []string `json:"missing"`
			Size    int64    `json:"size"`
		}
		if err := s.call(ctx, "extract", map[string]any{"fields": fields, "max": max}, &r); err != nil {
			return err
		}
		if r.Size > 0 {
			return &TooLargeError{"what is extracted", r.Size, max, "characters"}
		}
		values, missing = json.RawMessage(r.JSON), r.Missing
		return nil
	})
	return values, missing, err
}

// htmlChunk keeps single messages small: the connection serves other pages too.
const htmlChunk = 1 << 20

var errReplaced = errors.New("the document was replaced while it was read")

// HTML returns the rendered document with its doctype as text, at most max
// bytes (0: 10 MiB).
func (s *Session) HTML(ctx context.Context, max int64) (string, error) {
	if max <= 0 {
		max = 10 << 20
	}
	var b strings.Builder
	err := s.do(ctx, "the page's HTML", func(ctx context.Context) error {
		var r struct {
			Size int64  `json:"size"`
			Part string `json:"part"`
			Next int64  `json:"next"`
		}
		if err := s.call(ctx, "html", map[string]any{"chunk": htmlChunk, "max": max}, &r); err != nil {
			return err
		}
		if r.Size > max {
			return &TooLargeError{"the page's HTML", r.Size, max, "characters"}
		}
		b.WriteString(r.Part)
		for loader := s.world.loader; r.Next < r.Size; {
			if s.events.state().loader != loader {
				return errReplaced
			}
			if err := s.call(ctx, "slice", map[string]any{"from": r.Next, "chunk": htmlChunk}, &r); err != nil {
				return err
			}
			b.WriteString(r.Part)
		}
		return nil
	})
	if err == nil && int64(b.Len()) > max {
		err = &TooLargeError{"the page's HTML", int64(b.Len()), max, "bytes"}
	}
	if err != nil {
		return "", err
	}
	return b.String(), nil
}

func quoted(selectors []string) string {
	q := make([]string, len(selectors))
	for i, s := range selectors {
		q[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(q, " or ")
}
