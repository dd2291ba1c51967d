package execute

import (
	"context"
	"strings"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// assert fails the item for good when something does not hold now. Wait before
// for what takes time. All conditions given must hold.
type assert struct {
	// An element that must be in the document, in one of these alternatives.
	Selector selectors `yaml:"selector,optional"`
	// true: the element must be visible; false: it must not be.
	Visible *bool `yaml:"visible,optional"`
	// A script whose value must be true.
	Expression script `yaml:"expression,optional"`
	// The page's address; * stands for any text.
	URL *pipeline.Template `yaml:"url,optional"`
	// The page's HTTP status: 200, 200-399 or a list of these.
	Status statuses `yaml:"status,optional"`
	// No uncaught exception in the page so far.
	NoPageErrors bool `yaml:"noPageErrors,optional"`
	// What to say when it does not hold.
	Message *pipeline.Template `yaml:"message,optional"`
}

func (a *assert) check(n *pipeline.Node) {
	if len(a.Selector) == 0 && a.Expression == "" && a.URL == nil && a.Status == nil && !a.NoPageErrors {
		n.Problem("no-condition", "add selector, expression, url, status or noPageErrors", "there is nothing to assert")
	}
	if a.Visible != nil && len(a.Selector) == 0 {
		n.Lookup("visible").Problem(pipeline.CodeMissingKey, "add selector", "visible needs an element")
	}
}

func (a *assert) run(ctx context.Context, v *visit) error {
	for _, holds := range []func(context.Context, *visit) (string, error){a.element, a.expression, a.address, a.status, a.pageErrors} {
		what, err := holds(ctx, v)
		if err != nil {
			return err
		}
		if what != "" {
			return a.failure(v, what)
		}
	}
	return nil
}

func (a *assert) failure(v *visit, what string) error {
	if a.Message == nil {
		return pipeline.Fail("assert-failed", "%s", what)
	}
	message, err := a.Message.Text(v.item)
	if err != nil {
		return err
	}
	return pipeline.Fail("assert-failed", "%s: %s", message, what)
}

// The conditions return what does not hold, or nothing.

func (a *assert) element(ctx context.Context, v *visit) (string, error) {
	if len(a.Selector) == 0 {
		return "", nil
	}
	list, err := a.Selector.list(v.item)
	if err != nil {
		return "", err
	}
	state := stateOf(a.Visible)
	ok, err := v.session.Has(ctx, list, state)
	if err != nil || ok {
		return "", err
	}
	return "element " + strings.Join(list, " or ") + " is not " + string(state), nil
}

func (a *assert) expression(ctx context.Context, v *visit) (string, error) {
	if a.Expression == "" {
		return "", nil
	}
	raw, err := v.session.Evaluate(ctx, string(a.Expression), nil, 1<<10)
	if err != nil || string(raw) == "true" {
		return "", err
	}
	return string(a.Expression) + " is " + string(raw) + ", not true", nil
}

func (a *assert) address(_ context.Context, v *visit) (string, error) {
	if a.URL == nil {
		return "", nil
	}
	want, err := a.URL.Text(v.item)
	if err != nil {
		return "", err
	}
	if got := v.session.Page().URL; !matches(want, got) {
		return "the address is " + got + ", not " + want, nil
	}
	return "", nil
}

func (a *assert) status(_ context.Context, v *visit) (string, error) {
	if got := v.session.Page().Status; a.Status != nil && !a.Status.has(got) {
		return "the status is " + statuses{{got, got}}.String() + ", not " + a.Status.String(), nil
	}
	return "", nil
}

func (a *assert) pageErrors(_ context.Context, v *visit) (string, error) {
	if !a.NoPageErrors {
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
