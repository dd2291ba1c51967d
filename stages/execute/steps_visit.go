package execute

import (
	"context"
	"strconv"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// navigate opens a URL and waits until it is loaded. It sets item.meta.status
// to the HTTP status and item.meta.url to where redirects led.
type navigate struct {
	// Address, whole: http or https.
	URL pipeline.Template `yaml:"url"`
	// Statuses that are not a failure; the default is any.
	ExpectStatus statuses `yaml:"expectStatus,optional"`
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
	v.item.SetMeta("status", strconv.Itoa(nav.Status))
	v.item.SetMeta("url", nav.URL)
	if len(a.ExpectStatus) > 0 && !a.ExpectStatus.has(nav.Status) {
		e := pipeline.Fail("unexpected-status", "%s answered %d, expected %s", nav.URL, nav.Status, a.ExpectStatus)
		if nav.Status == 429 || nav.Status >= 500 {
			e.Kind = pipeline.Retry
		}
		return e
	}
	return nil
}

// waitForElement waits until an element is there.
type waitForElement struct {
	// Alternatives for one element: CSS, or xpath/, text/, pierce/ and the rest.
	Selectors selectors `yaml:"selectors"`
	// true: until it can be seen; false: until it cannot be seen any more. The
	// default only asks that it is in the document.
	Visible *bool `yaml:"visible,optional"`
}

func (a *waitForElement) scalar() any { return &a.Selectors }

func (a *waitForElement) run(ctx context.Context, v *visit) error {
	list, err := a.Selectors.list(v.item)
	if err != nil {
		return err
	}
	return v.session.WaitFor(ctx, list, stateOf(a.Visible))
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

// click waits until an element can be clicked, clicks it, and waits for the
// page that this leads to.
type click struct {
	// Alternatives for one element.
	Selectors selectors `yaml:"selectors"`
}

func (a *click) scalar() any { return &a.Selectors }

func (a *click) run(ctx context.Context, v *visit) error {
	list, err := a.Selectors.list(v.item)
	if err != nil {
		return err
	}
	return v.session.Click(ctx, list)
}

// typeText waits for a field and types into it, or chooses from a list.
type typeText struct {
	// Alternatives for one field.
	Selectors selectors `yaml:"selectors"`
	// What to type.
	Text *pipeline.Template `yaml:"text,optional"`
	// The same under the Recorder's name.
	Value *pipeline.Template `yaml:"value,optional"`
	// Replace what is in the field instead of adding to it.
	Clear bool `yaml:"clear,optional"`
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
	list, err := a.Selectors.list(v.item)
	if err != nil {
		return err
	}
	text, err := a.Text.Text(v.item)
	if err != nil {
		return err
	}
	return v.session.Type(ctx, list, text, a.Clear)
}
