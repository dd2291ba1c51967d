package execute

import (
	"context"
	"strconv"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// element is one element of the page, for actions on it.
type element struct {
	// Alternatives for one element: CSS, or aria/, text/, xpath/, pierce/ and
	// the rest. The first that finds a suitable element counts.
	Selectors selectors `yaml:"selectors"`
	// Frame that the element is in: a number, a selector, or a list of these.
	Frame frame `yaml:"frame,optional"`
	// Page that the element is in; there is only main.
	Target target `yaml:"target,optional"`
}

func (e *element) scalar() any { return &e.Selectors }

func (e *element) locator(it *pipeline.Item) (cdp.Locator, error) {
	return e.Selectors.locator(e.Frame, it)
}

// navigate opens a URL and waits until it is loaded. It sets item.meta.status
// to the HTTP status and item.meta.url to where redirects led.
type navigate struct {
	// Address, whole: http or https.
	URL pipeline.Template `yaml:"url"`
	// Statuses that are not a failure; the default is any.
	ExpectStatus statuses `yaml:"expectStatus,optional"`
	// Page that navigates; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *navigate) scalar() any { return &a.URL }

func (a *navigate) run(ctx context.Context, v *visit) error {
	address, err := a.URL.Text(v.item)
	if err != nil {
		return err
	}
	nav, err := v.session.Navigate(ctx, address)
	if err != nil {
		return err
	}
	return v.arrived(nav.Page, a.ExpectStatus)
}

// arrived notes where the page is now.
func (v *visit) arrived(page cdp.Page, expected statuses) error {
	v.item.SetMeta("status", strconv.Itoa(page.Status))
	v.item.SetMeta("url", page.URL)
	if len(expected) == 0 || expected.has(page.Status) {
		return nil
	}
	e := pipeline.Fail("unexpected-status", "%s answered %d, expected %s", page.URL, page.Status, expected)
	if page.Status == 429 || page.Status >= 500 {
		e.Kind = pipeline.Retry
	}
	return e
}

// travel is what back, forward and reload have in common.
type travel struct {
	// Statuses that are not a failure; the default is any.
	ExpectStatus statuses `yaml:"expectStatus,optional"`
}

// back goes to the page before in the history and waits for it.
type back struct {
	travel `yaml:",inline"`
}

func (a *back) run(ctx context.Context, v *visit) error {
	page, err := v.session.GoBack(ctx)
	if err != nil {
		return err
	}
	return v.arrived(page, a.ExpectStatus)
}

// forward goes to the next page in the history and waits for it.
type forward struct {
	travel `yaml:",inline"`
}

func (a *forward) run(ctx context.Context, v *visit) error {
	page, err := v.session.GoForward(ctx)
	if err != nil {
		return err
	}
	return v.arrived(page, a.ExpectStatus)
}

// reload loads the page again and waits for it.
type reload struct {
	travel `yaml:",inline"`
}

func (a *reload) run(ctx context.Context, v *visit) error {
	page, err := v.session.Reload(ctx)
	if err != nil {
		return err
	}
	return v.arrived(page, a.ExpectStatus)
}

// closePage leaves the page, as closing its tab would: it runs the page's last
// handlers and shows nothing afterwards. It must be the last step.
type closePage struct {
	// Page that is closed; there is only main.
	Target target `yaml:"target,optional"`
}

func (*closePage) run(ctx context.Context, v *visit) error {
	_, err := v.session.Navigate(ctx, "about:blank")
	return err
}

// waitForElement waits until an element is there.
type waitForElement struct {
	element `yaml:",inline"`
	// true: until it can be seen; false: until it cannot be seen any more. The
	// default only asks that it is in the document. With one of the keys below,
	// false inverts what they say.
	Visible *bool `yaml:"visible,optional"`
	// How the number of elements compares with count; the default is >=.
	Operator string `yaml:"operator,optional" enum:"==|>=|<="`
	// How many elements there must be.
	Count *int `yaml:"count,optional" min:"0"`
	// Attributes that each of the elements must have.
	Attributes map[string]pipeline.Template `yaml:"attributes,optional"`
	// Properties of the DOM that each of the elements must have.
	Properties map[string]pipeline.Template `yaml:"properties,optional"`
}

func (a *waitForElement) run(ctx context.Context, v *visit) error {
	at, err := a.locator(v.item)
	if err != nil {
		return err
	}
	if a.Operator == "" && a.Count == nil && a.Attributes == nil && a.Properties == nil {
		return v.session.WaitFor(ctx, at, stateOf(a.Visible))
	}
	c := cdp.Count{Operator: a.Operator, Count: 1, Not: a.Visible != nil && !*a.Visible, Attributes: map[string]string{}, Properties: map[string]any{}}
	if a.Count != nil {
		c.Count = *a.Count
	}
	for name, t := range a.Attributes {
		if c.Attributes[name], err = t.Text(v.item); err != nil {
			return err
		}
	}
	for name, t := range a.Properties {
		if c.Properties[name], err = t.Eval(v.item); err != nil {
			return err
		}
	}
	return v.session.WaitForCount(ctx, at, c)
}

func stateOf(visible *bool) cdp.State {
	switch {
	case visible == nil:
		return cdp.Present
	case *visible:
		return cdp.Visible
	}
	return cdp.Hidden
}

// waitForExpression waits until an expression in the page is true, in
// JavaScript's sense. A promise is awaited.
type waitForExpression struct {
	// The expression.
	Expression script `yaml:"expression"`
	// Frame that it is evaluated in.
	Frame frame `yaml:"frame,optional"`
	// Page that it is evaluated in; there is only main.
	Target target `yaml:"target,optional"`
}

func (a *waitForExpression) scalar() any { return &a.Expression }

func (a *waitForExpression) run(ctx context.Context, v *visit) error {
	path, err := a.Frame.path(v.item)
	if err != nil {
		return err
	}
	return v.session.WaitForExpression(ctx, path, string(a.Expression))
}
