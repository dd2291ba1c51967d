package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// condition is something about the page. All that is given must hold.
type condition struct {
	// An element that must be in the document, in one of these alternatives.
	Selector selectors `yaml:"selector,optional"`
	// true: the element must be visible; false: it must not be.
	Visible *bool `yaml:"visible,optional"`
	// Text that the element must show; * stands for any text.
	Text *pipeline.Template `yaml:"text,optional"`
	// A script whose value must be true.
	Expression script `yaml:"expression,optional"`
	// The page's address; * stands for any text.
	URL *pipeline.Template `yaml:"url,optional"`
	// The page's title; * stands for any text.
	Title *pipeline.Template `yaml:"title,optional"`
	// The page's HTTP status: 200, 200-399 or a list of these.
	Status statuses `yaml:"status,optional"`
	// No uncaught exception in the page so far.
	NoPageErrors bool `yaml:"noPageErrors,optional"`
	// Frame that selector and expression are about.
	Frame frame `yaml:"frame,optional"`
}

func (c *condition) check(n *pipeline.Node) {
	if c.isZero() {
		n.Problem("no-condition", "add selector, expression, url, title, status or noPageErrors", "there is nothing to assert")
	}
	for _, key := range []struct {
		name  string
		given bool
	}{{"visible", c.Visible != nil}, {"text", c.Text != nil}} {
		if key.given && len(c.Selector) == 0 {
			n.Lookup(key.name).Problem(pipeline.CodeMissingKey, "add selector", "%s needs an element", key.name)
		}
	}
}

func (c *condition) isZero() bool {
	return len(c.Selector) == 0 && c.Expression == "" && c.URL == nil && c.Title == nil && c.Status == nil && !c.NoPageErrors
}

// holds says what does not hold now, or nothing.
func (c *condition) holds(ctx context.Context, v *visit) (why string, err error) {
	for _, part := range []func(context.Context, *visit) (string, error){c.element, c.text, c.expression, c.address, c.title, c.status, c.pageErrors} {
		if why, err = part(ctx, v); err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

// conditionPause is how long a wait sleeps before it looks again.
const conditionPause = 50 * time.Millisecond

// await waits until the condition holds.
func (c *condition) await(ctx context.Context, v *visit) error {
	last := ""
	for {
		why, err := c.holds(ctx, v)
		switch {
		case err == nil && why == "":
			return nil
		case err == nil:
			last = why
		case ctx.Err() == nil || last == "":
			return err
		}
		t := time.NewTimer(conditionPause)
		select {
		case <-ctx.Done():
			t.Stop()
			return &pipeline.Error{Kind: pipeline.Retry, Code: "expect-failed", Err: fmt.Errorf("after the step: %s: %w", last, ctx.Err())}
		case <-t.C:
		}
	}
}

func (c *condition) element(ctx context.Context, v *visit) (string, error) {
	if len(c.Selector) == 0 {
		return "", nil
	}
	at, err := c.Selector.locator(c.Frame, v.item)
	if err != nil {
		return "", err
	}
	state := stateOf(c.Visible)
	ok, err := v.session.Has(ctx, at, state)
	if err != nil || ok {
		return "", err
	}
	return "element " + at.String() + " is not " + string(state), nil
}

func (c *condition) text(ctx context.Context, v *visit) (string, error) {
	if c.Text == nil {
		return "", nil
	}
	want, err := c.Text.Text(v.item)
	if err != nil {
		return "", err
	}
	at, err := c.Selector.locator(c.Frame, v.item)
	if err != nil {
		return "", err
	}
	got, ok, err := v.session.Text(ctx, at, v.max)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "element " + at.String() + " is not there", nil
	case !cdp.Match(want, got):
		return fmt.Sprintf("element %s shows %s, not %s", at, shortened(got), want), nil
	}
	return "", nil
}

// shortened is a text of the page in an error.
func shortened(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

func (c *condition) expression(ctx context.Context, v *visit) (string, error) {
	if c.Expression == "" {
		return "", nil
	}
	path, err := c.Frame.path(v.item)
	if err != nil {
		return "", err
	}
	raw, err := v.session.EvaluateIn(ctx, path, string(c.Expression), nil, 1<<10)
	if err != nil || string(raw) == "true" {
		return "", err
	}
	return string(c.Expression) + " is " + string(raw) + ", not true", nil
}

func (c *condition) address(_ context.Context, v *visit) (string, error) {
	return pattern(c.URL, v, "address", func() (string, error) { return v.session.Page().URL, nil })
}

func (c *condition) title(ctx context.Context, v *visit) (string, error) {
	return pattern(c.Title, v, "title", func() (string, error) { return v.session.Title(ctx) })
}

// pattern says that something does not match what is wanted, or nothing.
func pattern(want *pipeline.Template, v *visit, what string, get func() (string, error)) (string, error) {
	if want == nil {
		return "", nil
	}
	text, err := want.Text(v.item)
	if err != nil {
		return "", err
	}
	got, err := get()
	if err != nil || cdp.Match(text, got) {
		return "", err
	}
	return "the " + what + " is " + got + ", not " + text, nil
}

func (c *condition) status(_ context.Context, v *visit) (string, error) {
	if got := v.session.Page().Status; c.Status != nil && !c.Status.has(got) {
		return "the status is " + statuses{{got, got}}.String() + ", not " + c.Status.String(), nil
	}
	return "", nil
}

func (c *condition) pageErrors(_ context.Context, v *visit) (string, error) {
	if !c.NoPageErrors {
		return "", nil
	}
	messages, _ := v.session.Console()
	for _, m := range messages {
		if m.Level == cdp.LevelException {
			line, _, _ := strings.Cut(m.Text, "\n")
			return "the page threw " + line, nil
		}
	}
	return "", nil
}

// assert fails the item for good when something does not hold now. Wait before
// for what takes time. All conditions given must hold.
type assert struct {
	condition `yaml:",inline"`
	// What to say when it does not hold.
	Message *pipeline.Template `yaml:"message,optional"`
}

func (a *assert) run(ctx context.Context, v *visit) error {
	why, err := a.holds(ctx, v)
	if err != nil || why == "" {
		return err
	}
	if a.Message == nil {
		return pipeline.Fail("assert-failed", "%s", why)
	}
	message, err := a.Message.Text(v.item)
	if err != nil {
		return err
	}
	return pipeline.Fail("assert-failed", "%s: %s", message, why)
}

// NodeSchema describes a script: text without ${{ }}.
func (script) NodeSchema() json.RawMessage { return json.RawMessage(`{"type":"string"}`) }

// NodeSchema describes one status or range, or a list of them.
func (statuses) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":["integer","string","array"],"items":{"type":["integer","string"]}}`)
}
