package execute

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// run runs steps one after the other, up to the first that fails.
func (v *visit) run(ctx context.Context, steps Steps) error {
	for i := range steps {
		if r := steps[i].recording; r != nil {
			v.item.DependOn(*r)
		}
		if err := v.step(ctx, &steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// restoreTimeout bounds what is done for the next use of a page.
const restoreTimeout = 2 * time.Second

// restore takes back what steps emulated, if the page may be used again. A page
// that cannot be restored is not: the pool sees to that.
func (v *visit) restore(ctx context.Context) {
	if c := v.stage.cfg; c.Isolation != string(cdp.IsolatePage) && c.Session == nil || v.session.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if err := v.session.Restore(ctx); err != nil {
		v.session.Poison()
	}
}

// control is implemented by actions whose work is other steps: each of these has
// a deadline, so the whole needs none by default.
type control interface{ steps() []Steps }

// step runs one step under its deadline.
func (v *visit) step(ctx context.Context, st *Step) error {
	timeout := st.Timeout
	if c, ok := st.action.(control); timeout == 0 && !(ok && c.steps() != nil) {
		timeout = v.stage.cfg.StepTimeout
	}
	stepCtx, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		stepCtx, cancel = context.WithTimeout(ctx, timeout.D())
	}
	defer cancel()
	err := st.run(stepCtx, v)
	if err == nil {
		return nil
	}
	failed := st.failure(ctx, err)
	if st.Optional && ctx.Err() == nil && v.session.Err() == nil && failed.Code != "budget-exceeded" {
		if log := v.stage.env.Log; log != nil {
			log.DebugContext(ctx, "optional step failed", "step", st.Name, "line", st.Pos.Line, "item", v.item.ID, "error", failed)
		}
		return nil
	}
	return failed
}

// run does what the step says, between its conditions.
func (s *Step) run(ctx context.Context, v *visit) error {
	if s.When != nil {
		if holds, err := s.When.Holds(v.item); err != nil || !holds {
			return err
		}
	}
	if s.Require != nil {
		why, err := s.Require.holds(ctx, v)
		if err != nil {
			return err
		}
		if why != "" {
			return s.titled(pipeline.Fail("assert-failed", "before the step: %s", why))
		}
	}
	return s.titled(v.stranded(ctx, s, s.act(ctx, v)))
}

// act does what the step says and waits for what it leads to.
func (s *Step) act(ctx context.Context, v *visit) error {
	mark := v.session.Mark()
	if err := s.action.run(ctx, v); err != nil {
		return err
	}
	for _, e := range s.Events {
		if err := e.await(ctx, v, mark); err != nil {
			return err
		}
	}
	if s.Expect != nil {
		return s.Expect.await(ctx, v)
	}
	return nil
}

// titled puts what the step is for before its error.
func (s *Step) titled(err error) error {
	if err == nil || s.Title == "" {
		return err
	}
	if e, ok := err.(*pipeline.Error); ok {
		named := *e
		named.Err = fmt.Errorf("%s: %w", s.Title, e.Err)
		return &named
	}
	return fmt.Errorf("%s: %w", s.Title, err)
}

// assertedEvent is an event that a step causes.
type assertedEvent struct {
	// Kind of the event; there is one.
	Type string `yaml:"type" enum:"navigation"`
	// Address that the page is at afterwards; * stands for any text.
	URL *pipeline.Template `yaml:"url,optional"`
	// Title that the page has afterwards; * stands for any text, and nothing for
	// any title.
	Title *pipeline.Template `yaml:"title,optional"`
}

func (e *assertedEvent) await(ctx context.Context, v *visit, since cdp.Mark) error {
	url, err := optionalText(e.URL, v.item)
	if err != nil {
		return err
	}
	title, err := optionalText(e.Title, v.item)
	if err != nil {
		return err
	}
	return v.session.AwaitNavigation(ctx, since, url, title)
}

// optionalText evaluates a template that may not be there.
func optionalText(t *pipeline.Template, it *pipeline.Item) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	return t.Text(it)
}
