package execute

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// click waits until an element can be clicked, clicks it, and waits for the
// page that this leads to.
type click struct {
	element `yaml:",inline"`
	// Button of the mouse.
	Button string `yaml:"button,optional" enum:"primary|auxiliary|secondary|back|forward"`
	// What points.
	Device string `yaml:"deviceType,optional" enum:"mouse|pen|touch"`
	// Distance from the element's left edge in CSS pixels; the default is the
	// middle of what can be seen of it.
	OffsetX *float64 `yaml:"offsetX,optional"`
	// Distance from the element's upper edge in CSS pixels.
	OffsetY *float64 `yaml:"offsetY,optional"`
	// How long the button stays down, with a unit or in milliseconds.
	Duration millis `yaml:"duration,optional"`

	count int
}

func (a *click) check(n *pipeline.Node) {
	if (a.OffsetX == nil) != (a.OffsetY == nil) {
		n.Problem(pipeline.CodeMissingKey, "give both, or neither", "offsetX and offsetY belong together")
	}
}

func (a *click) run(ctx context.Context, v *visit) error {
	at, err := a.locator(v.item)
	if err != nil {
		return err
	}
	c := cdp.Click{Count: a.count, Button: cdp.Button(a.Button), Device: a.Device, Hold: time.Duration(a.Duration)}
	if a.OffsetX != nil {
		c.Offset = &cdp.Point{X: *a.OffsetX, Y: *a.OffsetY}
	}
	return v.session.Click(ctx, at, c)
}

// doubleClick waits until an element can be clicked and clicks it twice.
type doubleClick struct {
	click `yaml:",inline"`
}

// hover waits until an element can be reached and moves the mouse over it.
type hover struct {
	element `yaml:",inline"`
}

func (a *hover) run(ctx context.Context, v *visit) error {
	at, err := a.locator(v.item)
	if err != nil {
		return err
	}
	return v.session.Hover(ctx, at, nil)
}

// typeText waits for a field and types into it, after what is there.
type typeText struct {
	element `yaml:",inline"`
	// What to type.
	Text *pipeline.Template `yaml:"text,optional"`
	// The same under the Recorder's name.
	Value *pipeline.Template `yaml:"value,optional"`
	// Replace what is in the field instead of adding to it.
	Clear bool `yaml:"clear,optional"`
	// Press a key for each character, for pages that listen to keys.
	Keys bool `yaml:"keys,optional"`
}

func (a *typeText) check(n *pipeline.Node) {
	switch {
	case a.Text == nil && a.Value == nil:
		n.MissingKey("text")
	case a.Text != nil && a.Value != nil:
		n.Lookup("value").Problem(pipeline.CodeBadValue, "remove one", "text and value mean the same")
	case a.Text == nil:
		a.Text = a.Value
	}
}

func (a *typeText) run(ctx context.Context, v *visit) error {
	return v.fill(ctx, &a.element, a.Text, cdp.Fill{Append: !a.Clear, Keys: a.Keys})
}

// fill enters the text of a template into a field.
func (v *visit) fill(ctx context.Context, field *element, text *pipeline.Template, f cdp.Fill) error {
	at, err := field.locator(v.item)
	if err != nil {
		return err
	}
	if f.Text, err = text.Text(v.item); err != nil {
		return err
	}
	return v.session.Fill(ctx, at, f)
}

// fill waits for a field and replaces what is in it. Dates, colours and ranges
// are set, in a drop-down list the option with this value or label is chosen.
type fill struct {
	element `yaml:",inline"`
	// What the field shall hold.
	Value pipeline.Template `yaml:"value"`
}

func (a *fill) run(ctx context.Context, v *visit) error {
	return v.fill(ctx, &a.element, &a.Value, cdp.Fill{})
}

// change is fill under the Recorder's name.
type change struct {
	fill `yaml:",inline"`
}

// keyDown presses a key and holds it.
type keyDown struct {
	// Name of the key (Enter, a) or its code (KeyA), as the Recorder writes it.
	Key keyName `yaml:"key"`
	// Page that gets it; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *keyDown) scalar() any { return &a.Key }

func (a *keyDown) run(ctx context.Context, v *visit) error {
	return v.session.KeyDown(ctx, string(a.Key))
}

// keyUp lets go of a key.
type keyUp struct {
	// Name of the key (Enter, a) or its code (KeyA), as the Recorder writes it.
	Key keyName `yaml:"key"`
	// Page that gets it; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *keyUp) scalar() any { return &a.Key }

func (a *keyUp) run(ctx context.Context, v *visit) error { return v.session.KeyUp(ctx, string(a.Key)) }

// press presses a key or a combination and lets go of it.
type press struct {
	// Key, or keys joined by +: Enter, Control+a.
	Key keyNames `yaml:"key"`
	// Element that gets the focus before; the default is what has it.
	Selectors selectors `yaml:"selectors,optional"`
	// Frame that the element is in.
	Frame frame `yaml:"frame,optional"`
}

func (a *press) scalar() any { return &a.Key }

func (a *press) run(ctx context.Context, v *visit) error {
	if a.Selectors != nil {
		at, err := a.Selectors.locator(a.Frame, v.item)
		if err != nil {
			return err
		}
		if err := v.session.Focus(ctx, at); err != nil {
			return err
		}
	}
	return v.session.Press(ctx, string(a.Key))
}

// scroll scrolls the page or an element: to a place in it, to the page's end, or
// an element into view.
type scroll struct {
	// Distance from the left in CSS pixels.
	X *float64 `yaml:"x,optional"`
	// Distance from the top in CSS pixels.
	Y *float64 `yaml:"y,optional"`
	// Scroll to the end of the page, which may then load more.
	To string `yaml:"to,optional" enum:"end"`
	// Element whose inside is scrolled; without x and y it is scrolled into view.
	Selectors selectors `yaml:"selectors,optional"`
	// Frame that is scrolled, or that the element is in.
	Frame frame `yaml:"frame,optional"`
	// Page that is scrolled; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *scroll) scalar() any { return &a.Selectors }

func (a *scroll) check(n *pipeline.Node) {
	if a.To != "" && (a.X != nil || a.Y != nil || a.Selectors != nil) {
		n.Lookup("to").Problem(pipeline.CodeBadValue, "remove the others", "to: end is about the page as a whole")
	}
}

func (a *scroll) run(ctx context.Context, v *visit) error {
	at, err := a.Selectors.locator(a.Frame, v.item)
	if err != nil {
		return err
	}
	if a.To == "end" {
		_, err := v.session.ScrollToEnd(ctx, at.Frame)
		return err
	}
	var to *cdp.Point
	if a.X != nil || a.Y != nil || a.Selectors == nil {
		to = &cdp.Point{}
		if a.X != nil {
			to.X = *a.X
		}
		if a.Y != nil {
			to.Y = *a.Y
		}
	}
	return v.session.Scroll(ctx, at, to)
}

// selectOption waits for a drop-down list and chooses from it.
type selectOption struct {
	element `yaml:",inline"`
	// Value or label of the option.
	Value *pipeline.Template `yaml:"value,optional"`
	// Values or labels, for lists that take several choices.
	Values []pipeline.Template `yaml:"values,optional"`
}

func (a *selectOption) check(n *pipeline.Node) {
	if (a.Value == nil) == (a.Values == nil) {
		n.Problem(pipeline.CodeMissingKey, "value: Blue", "want exactly one of value and values")
	}
}

func (a *selectOption) run(ctx context.Context, v *visit) error {
	at, err := a.locator(v.item)
	if err != nil {
		return err
	}
	list := a.Values
	if a.Value != nil {
		list = []pipeline.Template{*a.Value}
	}
	values := make([]string, len(list))
	for i := range list {
		if values[i], err = list[i].Text(v.item); err != nil {
			return err
		}
	}
	return v.session.Select(ctx, at, values)
}

// check waits for a check box, radio button or switch and puts it on.
type check struct {
	element `yaml:",inline"`
}

func (a *check) run(ctx context.Context, v *visit) error { return v.check(ctx, &a.element, true) }

// uncheck waits for a check box or switch and puts it off.
type uncheck struct {
	element `yaml:",inline"`
}

func (a *uncheck) run(ctx context.Context, v *visit) error { return v.check(ctx, &a.element, false) }

func (v *visit) check(ctx context.Context, box *element, on bool) error {
	at, err := box.locator(v.item)
	if err != nil {
		return err
	}
	return v.session.Check(ctx, at, on)
}
