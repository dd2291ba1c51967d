package cdp

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed page.js
var pageScript string

// verbs is what a session keeps for the verbs: navigate, click, read, ...
type verbs struct {
	world      world                  // of the main document
	foreigners map[string]*foreignTab // frames that other processes draw, by id
	held       keyboard
	overridden atomic.Bool // something of the page's surroundings is emulated
}

// call runs an operation of page.js in the document that the locator is in, and
// decodes its result. A document that is replaced meanwhile is not an error: the
// operation runs again in the new one, until ctx ends.
func (s *Session) call(ctx context.Context, in Locator, op string, arg map[string]any, result any) error {
	_, err := s.callAt(ctx, in, op, arg, result)
	return err
}

// callAt is call, and says where the operation ran.
func (s *Session) callAt(ctx context.Context, in Locator, op string, arg map[string]any, result any) (place, error) {
	for {
		at, r, err := s.callOnce(ctx, in, op, arg)
		if err = decodeReply(r, err, result); err == nil || !s.staleAt(at, err) {
			return at, err
		}
		s.world = world{}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return at, err
		}
	}
}

// staleAt reports whether err says that the document was replaced.
func (s *Session) staleAt(at place, err error) bool {
	return stale(err) || at.tab != nil && at.tab != s.tab && detached(err)
}

func (s *Session) callOnce(ctx context.Context, in Locator, op string, arg map[string]any) (place, reply, error) {
	at, err := s.frame(ctx, in.Frame)
	if err != nil {
		return at, reply{}, err
	}
	var handles []any
	if in.Selectors != nil {
		where := map[string]any{"chains": in.Selectors}
		if in.hasARIA() {
			if where["found"], handles, err = s.aria(ctx, at, in.Selectors); err != nil {
				return at, reply{}, err
			}
			defer s.releaseAll(ctx, at, handles)
		}
		arg["at"] = where
	}
	r, err := s.run(ctx, at, op, arg, true, handles...)
	return at, r, err
}

// releaseAll lets go of elements.
func (s *Session) releaseAll(ctx context.Context, at place, handles []any) {
	if len(handles) == 0 {
		return
	}
	names := make([]string, len(handles))
	for i, h := range handles {
		names[i] = string(h.(handle))
	}
	at.tab.release(ctx, names...)
}

// run calls an operation of page.js, which it installs in a document's world at
// the first call.
func (s *Session) run(ctx context.Context, at place, op string, arg map[string]any, byValue bool, handles ...any) (reply, error) {
	function := "(...args) => waybill(...args)"
	if !at.world.ready {
		function = "function (...args) { globalThis.waybill ??= " + pageScript[strings.Index(pageScript, "\nfunction"):] + "; return waybill(...args); }"
	}
	r, err := at.tab.callFunction(ctx, on{world: at.world.id}, function, byValue, append([]any{op, arg}, handles...)...)
	if err == nil {
		at.world.ready = true
	}
	return r, err
}

// decodeReply decodes the value of an operation.
func decodeReply(r reply, err error, result any) error {
	switch {
	case err != nil:
		return err
	case r.exception != "":
		return exceptionError(r.exception)
	}
	return json.Unmarshal(r.value, result)
}

// exceptionError explains an exception of page.js: its only ones are about
// selectors.
func exceptionError(text string) error {
	if strings.Contains(text, "SyntaxError") {
		return &SelectorError{Message: firstLine(text)}
	}
	return &ScriptError{Message: text}
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
	Done bool `json:"done"`
	// On: the box is checked.
	On   bool    `json:"on"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	Rect rect    `json:"rect"`
}

// until repeats an operation until it says ok; when ctx ends first, the error
// carries the last reason.
func (s *Session) until(ctx context.Context, in Locator, op string, arg map[string]any) (answer, error) {
	a, _, err := s.untilAt(ctx, in, op, arg)
	return a, err
}

// waits stands for ms in the argument of an operation that waits inside the page.
const waits = 0

// untilAt is until, and says where the operation ran.
func (s *Session) untilAt(ctx context.Context, in Locator, op string, arg map[string]any) (answer, place, error) {
	last := ""
	_, waiting := arg["ms"]
	for {
		if waiting {
			arg["ms"] = in.slice(ctx)
		}
		var a answer
		at, err := s.callAt(ctx, in, op, arg, &a)
		switch {
		case errors.Is(err, errNoFrame):
			last = "no element matches: " + err.Error()
		case err != nil:
			return a, at, &waitError{last, err}
		case a.OK:
			return a, at, nil
		default:
			last = a.Why
		}
		if err := pause(ctx, waitPause); err != nil {
			return a, at, &waitError{last, err}
		}
	}
}

// waitPause is how long a wait outside of the page sleeps before it looks again.
const waitPause = 25 * time.Millisecond

// How long one wait stays inside the page, where nothing has to be sent to look
// again. What is found by its accessible name, the browser has to look for again.
const (
	waitSlice     = 500 * time.Millisecond
	waitSliceARIA = 200 * time.Millisecond
)

// slice is how many milliseconds the next wait stays inside the page: less and
// less towards the deadline, so that the reason is known when that comes.
func (l Locator) slice(ctx context.Context) int64 {
	d := waitSlice
	if l.hasARIA() {
		d = waitSliceARIA
	}
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)/2)
	}
	return max(0, d.Milliseconds())
}

// State is what WaitFor waits for.
type State string

const (
	Present State = "present" // an element is in the document
	Visible State = "visible" // an element can be seen
	Hidden  State = "hidden"  // no element can be seen
)

// WaitFor waits until an element is in that state.
func (s *Session) WaitFor(ctx context.Context, element Locator, state State) error {
	return s.do(ctx, fmt.Sprintf("element %s to be %s", element, state), func(ctx context.Context) error {
		_, err := s.until(ctx, element, "wait", map[string]any{"state": state, "ms": waits})
		return err
	})
}

// Has reports whether an element is in that state now.
func (s *Session) Has(ctx context.Context, element Locator, state State) (ok bool, err error) {
	err = s.do(ctx, "element "+element.String(), func(ctx context.Context) error {
		var a answer
		err := s.call(ctx, element, "wait", map[string]any{"state": state, "ms": 0}, &a)
		if errors.Is(err, errNoFrame) {
			ok = state == Hidden
			return nil
		}
		ok = a.OK
		return err
	})
	return ok, err
}

// Count is how many elements WaitForCount waits for, and what they are like.
type Count struct {
	// Operator is ==, >= or <=; default >=.
	Operator string
	Count    int
	// Not inverts the whole.
	Not bool
	// Attributes that each of the elements must have with these values.
	Attributes map[string]string
	// Properties that each of the elements must have, compared deeply.
	Properties map[string]any
}

// WaitForCount waits until the number of elements is as wanted. The first
// alternative that finds any element counts.
func (s *Session) WaitForCount(ctx context.Context, elements Locator, c Count) error {
	if c.Operator == "" {
		c.Operator = ">="
	}
	what := fmt.Sprintf("the number of elements %s to be %s %d", elements, c.Operator, c.Count)
	return s.do(ctx, what, func(ctx context.Context) error {
		_, err := s.until(ctx, elements, "count", map[string]any{"ms": waits, "operator": c.Operator, "count": c.Count,
			"visible": !c.Not, "attributes": c.Attributes, "properties": c.Properties})
		return err
	})
}

// Title returns the document's title.
func (s *Session) Title(ctx context.Context) (title string, err error) {
	err = s.do(ctx, "the page's title", func(ctx context.Context) error {
		return s.call(ctx, Locator{}, "title", map[string]any{}, &title)
	})
	return title, err
}
