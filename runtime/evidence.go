package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// committer is a stage that keeps evidence, and its place on the line.
type committer struct {
	pipeline.Committer
	stage *stage
	at    int
}

// missed reports whether an item's end is news to the committer: the item failed
// or was skipped, or its way ended at a stage before (it went on as children).
func (c *committer) missed(f *sched.Flight, v verdict) bool {
	return v.result != pipeline.Succeeded || c.at > f.At
}

// commit puts the end of an item or child on record before anybody hears of it,
// so that each has exactly one receipt. If that cannot be done, the verdict is
// another one: there is no end without evidence but death.
func (e *engine) commit(f *sched.Flight, v verdict) verdict {
	if v.lost || v.release {
		return v
	}
	for i := range e.committers {
		c := &e.committers[i]
		if !c.missed(f, v) {
			continue
		}
		if err := e.commitTo(c, f, v); err != nil {
			return e.unwitnessed(c.stage, f, v, e.blame(err, c.stage.plan, f.Item))
		}
	}
	return v
}

// commitTo tries like a write to the queue, because what goes back instead is
// worked on all over again.
func (e *engine) commitTo(c *committer, f *sched.Flight, v verdict) (err error) {
	c.stage.commits.Add(1)
	defer c.stage.commits.Add(-1)
	ctx := pipeline.ContextWithTrace(e.books, e.root(f).span.Context(f.Item))
	for try := range writeTries {
		if try > 0 && !pause(e.books, writeWait<<try) {
			break
		}
		if err = commitOnce(ctx, c, f.Item, e.outcome(f.Item, v)); err == nil || final(err) {
			break
		}
	}
	return err
}

func commitOnce(ctx context.Context, c *committer, it *pipeline.Item, o pipeline.Outcome) (err error) {
	defer sched.Catch(&err)
	return c.Commit(ctx, it, o)
}

// final reports errors that another try would not change.
func final(err error) bool {
	switch pipeline.KindOf(err) {
	case pipeline.Permanent, pipeline.Bug, pipeline.Skip:
		return true
	}
	return errors.Is(err, pipeline.ErrLeaseLost)
}

// unwitnessed decides about an item whose end a stage cannot put on record. For
// a while it goes back, for there may be room for its receipt later; then, or at
// once if that is in vain, it is dead, and counted.
func (e *engine) unwitnessed(s *stage, f *sched.Flight, v verdict, err error) verdict {
	if errors.Is(err, pipeline.ErrLeaseLost) {
		return verdict{lost: true, err: err}
	}
	e.log.Error("an item's end could not be witnessed", "item", f.Item.ID, "result", string(v.result), "cause", v.err, "error", err)
	if !final(err) && !e.past.hopeless(e.rootFlight(f).Item.ID) {
		wait, lasting := s.outage.wait(time.Now())
		wait = max(wait, afterOf(err))
		if lasting {
			e.feed.Pause(wait) // others would only come back too
		}
		return verdict{release: true, refund: true, after: wait, err: err}
	}
	e.stats.unwitnessed.Add(1)
	if v.result == pipeline.Succeeded || v.result == pipeline.Skipped {
		v.err = err // else the failure itself is the cause
	}
	v.result = pipeline.Dead
	return v
}
