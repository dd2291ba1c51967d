package execute

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// errorPage begins the address of the page that Chrome shows instead of one that
// it could not load.
const errorPage = "chrome-error:"

// course is where the page was after the last step.
type course struct {
	lost     bool // on Chrome's error page
	failures int  // requests without an answer
	step     *Step
}

// stranded looks after a step whether the page has left for one that cannot be
// shown. navigate and click wait for where they lead and say so themselves; this is
// for what comes by a script, a key or a timer of the page, during the step or since
// the one before. It fails the step, whatever else that says: all that follows would
// be about an error page.
func (v *visit) stranded(ctx context.Context, s *Step, err error) error {
	before := v.course
	v.course = course{lost: v.onErrorPage(), failures: v.failures(), step: s}
	if !v.course.lost || before.lost && v.course.failures == before.failures || v.session.Err() != nil || ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if c, ok := s.action.(control); ok && c.steps() != nil {
		return err // the steps inside have looked
	}
	var nav *cdp.NavigationError
	if errors.As(err, &nav) {
		return err
	}
	where := "in this step"
	if before.step != nil {
		where += fmt.Sprintf(" or since the one before (%s, line %d)", before.step.Name, before.step.Pos.Line)
	}
	address, reason := v.whyStranded(before.failures)
	kind, code, hint := pipeline.Retry, "navigation-failed", ""
	if reason != nil {
		kind, code, hint = classify(reason)
	} else {
		reason = errors.New(address)
	}
	reason = fmt.Errorf("the page left for one that cannot be shown, %s: %w", where, reason)
	if err != nil {
		reason = fmt.Errorf("%w; so %w", reason, err)
	}
	return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: reason}
}

func (v *visit) onErrorPage() bool { return strings.HasPrefix(v.session.Page().URL, errorPage) }

// whyStranded returns the address of the page that cannot be shown, and what the
// proxy says of it, if it knows.
func (v *visit) whyStranded(since int) (address string, reason error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	history, err := v.session.History(ctx)
	if err != nil || len(history) == 0 {
		return "its address is not known", nil
	}
	address = history[len(history)-1].URL
	if lease := v.session.Egress(); lease != nil {
		if e := lease.FailureOf(address, since); e != nil {
			return address, e
		}
	}
	return address, nil
}

// failures counts the requests that had no answer so far.
func (v *visit) failures() int {
	lease := v.session.Egress()
	if lease == nil { // a pool of the tests
		return 0
	}
	n, _ := lease.Failures(0)
	return n
}
