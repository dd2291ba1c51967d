package runtime

import (
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// verdict is what becomes of an item. Exactly one of its three forms holds: it
// is lost, it goes back (release), or it ends with a result.
type verdict struct {
	result pipeline.Result
	err    error
	lost   bool

	release bool
	after   time.Duration
	refund  bool
	// stop ends the run.
	stop bool
}

// judge decides by the error's kind and the stage's on_error. There is no way
// for an item to go on past a stage that failed.
func (e *engine) judge(f *sched.Flight, err error) verdict {
	switch {
	case err == nil:
		return verdict{result: pipeline.Succeeded}
	case errors.Is(err, pipeline.ErrLeaseLost):
		return verdict{lost: true, err: err}
	case f.Item.Condemned != nil:
		return verdict{result: pipeline.Dead, err: err}
	}
	switch pipeline.KindOf(err) {
	case pipeline.Skip:
		return verdict{result: pipeline.Skipped, err: err}
	case pipeline.Cancelled:
		if e.work.Err() != nil {
			return verdict{release: true, refund: true, err: err}
		}
		return e.unavailable(f, err) // cancelled by something else: not the item's fault
	case pipeline.Unavailable:
		return e.unavailable(f, err)
	}
	return e.failed(f, err)
}

func (e *engine) failed(f *sched.Flight, err error) verdict {
	s := e.stageOf(f)
	policy := pipeline.OnErrorRetry
	if s != nil {
		policy = s.plan.OnError
	} else if e.distPlan != nil {
		policy = e.distPlan.OnError
	}
	switch policy {
	case pipeline.OnErrorDrop:
		return verdict{result: pipeline.Dropped, err: err}
	case pipeline.OnErrorStop:
		return verdict{release: true, refund: true, err: err, stop: true}
	case pipeline.OnErrorDead:
		return verdict{result: pipeline.Dead, err: err}
	}
	attempts, backoff := e.policy(s, f.Item)
	if pipeline.KindOf(err) != pipeline.Retry || f.Item.Attempt >= attempts {
		return verdict{result: pipeline.Dead, err: err}
	}
	return verdict{release: true, after: max(afterOf(err), fullJitter(backoff, f.Item.Attempt-1)), err: err}
}

// unavailable gives an item back without losing the attempt, later and later.
// An item that this happens to again and again is to blame after all (it kills
// the browser, say): then the attempt counts, and its attempts are limited.
func (e *engine) unavailable(f *sched.Flight, err error) verdict {
	v := verdict{release: true, refund: true, err: err, after: afterOf(err)}
	s := e.stageOf(f)
	if s == nil {
		return v
	}
	if errors.Is(err, cluster.ErrPermitLost) { // the queue's outage, not the stage's
		return v
	}
	if pipeline.CodeOf(err) == codeLimited { // no outage, and nobody is to blame
		v.after = max(v.after, limitWait(e.past.crowdedOut(f.Item.ID)))
		return v
	}
	lasting := true
	if pipeline.CodeOf(err) != codeBreaker {
		var wait time.Duration
		wait, lasting = s.outage.wait(time.Now())
		v.after = max(v.after, wait)
		if e.past.toBlame(f.Item.ID, s.meter.Succeeded()) {
			attempts, _ := e.policy(s, f.Item)
			if v.refund = false; f.Item.Attempt >= attempts {
				return verdict{result: pipeline.Dead, err: err}
			}
		}
	}
	if lasting && s.plan.When == nil {
		// Every item comes to this stage: claiming more would only send
		// them round.
		e.feed.Pause(v.after)
	}
	return v
}

// stageOf returns the stage that a flight ended in; nil if it never came to one.
func (e *engine) stageOf(f *sched.Flight) *stage {
	if f.Err != nil || f.Item.Condemned != nil || f.At >= len(e.stages) {
		return nil
	}
	return e.stages[f.At]
}
