package cdp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Button is a button of the mouse, by the names of the Chrome DevTools Recorder.
type Button string

const (
	Primary   Button = "primary"
	Auxiliary Button = "auxiliary"
	Secondary Button = "secondary"
	Back      Button = "back"
	Forward   Button = "forward"
)

// Click says how to click. The zero value is a click of the primary button.
type Click struct {
	// Count is 2 for a double click; default 1.
	Count int
	// Button of the mouse; default Primary.
	Button Button
	// Device is mouse (the default), pen or touch.
	Device string
	// Offset from the element's upper left corner in CSS pixels; nil is the
	// middle of what can be seen of it.
	Offset *Point
	// Hold is how long the button stays down.
	Hold time.Duration
}

// Point is a place in CSS pixels.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// needs is what an element must be for an action, beside visible and at rest.
type needs struct {
	Enabled  bool `json:"enabled"`
	Editable bool `json:"editable"`
	Hit      bool `json:"hit"` // a click at its point reaches it
}

// ready waits until the element can be acted on and returns its point, in the
// page's viewport. guard watches the click that follows.
func (s *Session) ready(ctx context.Context, element Locator, n needs, offset *Point, guard bool) (Point, place, error) {
	last := ""
	for misses := 0; ; misses++ {
		a, at, err := s.untilAt(ctx, element, "ready", map[string]any{"ms": waits, "needs": n, "offset": offset, "guard": guard, "misses": misses})
		if err != nil {
			return Point{}, at, lastly(err, last)
		}
		x, y, why, err := s.outward(ctx, at, a.X, a.Y, n.Hit)
		switch {
		case err == nil && why == "":
			return Point{x, y}, at, nil
		case err == nil:
			last = why
		case !s.staleAt(at, err):
			return Point{}, at, &waitError{last, err}
		}
		if err := pause(ctx, waitPause); err != nil {
			return Point{}, at, &waitError{last, err}
		}
	}
}

// lastly says what stood in the way before a wait that had nothing to say.
func lastly(err error, last string) error {
	var w *waitError
	if errors.As(err, &w) && w.last == "" {
		w.last = last
	}
	return err
}

// Click waits until the element can be clicked (visible, at rest, enabled, not
// covered), clicks it, and waits for the page that this leads to, if it does. A
// click that misses the element because the page changed under it is swallowed
// and tried again.
func (s *Session) Click(ctx context.Context, element Locator, c Click) error {
	c.Count = max(c.Count, 1)
	if c.Button == "" {
		c.Button = Primary
	}
	return s.do(ctx, "element "+element.String()+" to be clickable", func(ctx context.Context) error {
		missed := ""
		for {
			p, at, err := s.ready(ctx, element, needs{Enabled: true, Hit: true}, c.Offset, true)
			if err != nil {
				return lastly(err, missed)
			}
			before := s.state()
			if err := s.tab.clickAt(ctx, p, c, s.held.modifiers()); err != nil {
				return err
			}
			why, err := s.arrived(ctx, at)
			if err != nil {
				return err
			}
			if why == "" {
				return s.settle(ctx, before)
			}
			missed = why
			if err := pause(ctx, waitPause); err != nil {
				return &waitError{missed, err}
			}
		}
	})
}

// arrived says why the watched click did not reach its element, or nothing. A
// document that is gone by now was left by the click.
func (s *Session) arrived(ctx context.Context, at place) (why string, err error) {
	var a answer
	r, err := s.run(ctx, at, "settle", map[string]any{"watched": true}, true)
	if err := decodeReply(r, err, &a); err != nil {
		if s.staleAt(at, err) {
			return "", nil
		}
		return "", err
	}
	return a.Why, nil
}

// Hover waits until the element can be reached and moves the mouse over it.
func (s *Session) Hover(ctx context.Context, element Locator, offset *Point) error {
	return s.do(ctx, "element "+element.String()+" to be reachable", func(ctx context.Context) error {
		p, _, err := s.ready(ctx, element, needs{Hit: true}, offset, false)
		if err != nil {
			return err
		}
		return s.tab.moveTo(ctx, p, s.held.modifiers())
	})
}

// Fill says what becomes of a field.
type Fill struct {
	Text string
	// Append adds to what is there instead of replacing it.
	Append bool
	// Keys presses a key for each character instead of inserting the text as a
	// whole, for pages that listen to keys.
	Keys bool
}

// Fill waits for the field and enters text as a user would. In a drop-down list
// it chooses the option with this value or label; dates, colours and ranges are
// set.
func (s *Session) Fill(ctx context.Context, field Locator, f Fill) error {
	return s.do(ctx, "field "+field.String()+" to take text", func(ctx context.Context) error {
		if _, _, err := s.ready(ctx, field, needs{Enabled: true, Editable: true}, nil, false); err != nil {
			return err
		}
		a, err := s.until(ctx, field, "focus", map[string]any{"clear": !f.Append, "value": f.Text})
		if err != nil || a.Done || f.Text == "" {
			return err
		}
		if f.Keys {
			return s.typeKeys(ctx, f.Text)
		}
		return s.tab.insertText(ctx, f.Text)
	})
}

// typeKeys presses the key of each character; what no key types is inserted.
func (s *Session) typeKeys(ctx context.Context, text string) error {
	for _, r := range text {
		k, ok := findKey(string(r))
		if !ok {
			if err := s.tab.insertText(ctx, string(r)); err != nil {
				return err
			}
			continue
		}
		if err := s.tab.pressKey(ctx, k, s.held.modifiers()); err != nil {
			return err
		}
	}
	return nil
}

// Select waits for the drop-down list and chooses the options with these values
// or labels.
func (s *Session) Select(ctx context.Context, list Locator, values []string) error {
	return s.do(ctx, "list "+list.String()+" to have the choice", func(ctx context.Context) error {
		if _, _, err := s.ready(ctx, list, needs{Enabled: true}, nil, false); err != nil {
			return err
		}
		_, err := s.until(ctx, list, "choose", map[string]any{"values": values})
		return err
	})
}

// Check waits for the check box, radio button or switch and clicks it unless it
// is in the state already.
func (s *Session) Check(ctx context.Context, box Locator, state bool) error {
	on := func(ctx context.Context) (on bool, err error) {
		err = s.do(ctx, "check box "+box.String(), func(ctx context.Context) error {
			a, err := s.until(ctx, box, "checked", map[string]any{})
			on = a.On
			return err
		})
		return on, err
	}
	if now, err := on(ctx); err != nil || now == state {
		return err
	}
	if err := s.Click(ctx, box, Click{}); err != nil {
		return err
	}
	now, err := on(ctx)
	if err == nil && now != state {
		err = &StateError{fmt.Sprintf("the check box %s did not change when it was clicked", box)}
	}
	return err
}

// StateError says that an element did not do what it should.
type StateError struct{ Message string }

// Error returns the message.
func (e *StateError) Error() string { return e.Message }

// Scroll scrolls an element's inside, or the document if there are no selectors,
// to a place. With nil it scrolls the element into view.
func (s *Session) Scroll(ctx context.Context, element Locator, to *Point) error {
	arg := map[string]any{"x": nil, "y": nil}
	if to != nil {
		arg["x"], arg["y"] = to.X, to.Y
	}
	what := "the page to scroll"
	if element.Selectors != nil {
		what = "element " + element.String() + " to scroll"
	}
	return s.do(ctx, what, func(ctx context.Context) error {
		if element.Selectors != nil && to == nil {
			_, _, err := s.ready(ctx, element, needs{}, nil, false)
			if err != nil {
				return err
			}
		}
		_, err := s.until(ctx, element, "scroll", arg)
		return err
	})
}

// ScrollToEnd scrolls to the end of the document and reports its height in CSS
// pixels, so that the caller can tell whether it grew.
func (s *Session) ScrollToEnd(ctx context.Context, frame []string) (height float64, err error) {
	err = s.do(ctx, "the page to scroll", func(ctx context.Context) error {
		a, err := s.until(ctx, Locator{Frame: frame}, "bottom", map[string]any{})
		height = a.Y
		return err
	})
	return height, err
}
