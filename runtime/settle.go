package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// Writes to the queue are tried so often, waiting longer each time.
const (
	writeTries = 4
	writeWait  = 100 * time.Millisecond
)

// finish carries out what is decided about a flight that came to its end.
func (e *engine) finish(f *sched.Flight, err error) {
	v := e.judge(f, err)
	if v.stop {
		e.halt(&StopError{Err: v.err})
	}
	if own(f).up != nil {
		e.childEnded(f, f, v)
		return
	}
	e.settle(f, f, v)
}

// settle ends a claimed item: it tells the source, once, and only then counts
// it. Whoever sets settled first is the only one to write. via is the flight that
// the carrier is on, nil if there is no carrier.
func (e *engine) settle(f, via *sched.Flight, v verdict) {
	j := own(f)
	if !j.settled.CompareAndSwap(false, true) {
		return // the drain gave it back while its stage would not return
	}
	if v.result == pipeline.Dead || v.result == pipeline.Dropped {
		v = e.commit(f, v)
	}
	f.Turn.Leave()
	err := e.write(f.Item, v)
	if errors.Is(err, pipeline.ErrLeaseLost) {
		v, err = verdict{lost: true, err: err}, nil
	}
	e.book(f, v, err)
	if j.cancel != nil {
		j.cancel(nil)
	}
	e.feed.End(f, via, v.release)
}

// commit gives the stages that keep evidence the failure of an item before the
// queue hears of it. If they cannot, the item is not ended but goes back.
func (e *engine) commit(f *sched.Flight, v verdict) verdict {
	ctx := pipeline.ContextWithTrace(e.books, e.root(f).span.Context(f.Item))
	for _, c := range e.committers {
		if err := commitTo(ctx, c, f.Item, e.outcome(f.Item, v)); err != nil {
			err = e.blame(err, nil, f.Item)
			e.log.Error("a failure could not be witnessed", "item", f.Item.ID, "failure", v.err, "error", err)
			back := e.unavailable(f, err)
			if !back.release {
				return v // out of attempts: dead all the same
			}
			return back
		}
	}
	return v
}

func commitTo(ctx context.Context, c pipeline.Committer, it *pipeline.Item, o pipeline.Outcome) (err error) {
	defer sched.Catch(&err)
	return c.Commit(ctx, it, o)
}

func (e *engine) outcome(it *pipeline.Item, v verdict) pipeline.Outcome {
	o := pipeline.Outcome{Result: v.result, Digest: it.Receipt, Cause: v.err}
	for i := range it.Outputs {
		if o.Digest == "" && it.Outputs[i].Name == "body" {
			o.Digest = it.Outputs[i].Digest
		}
	}
	return o
}

// write is the one write that ends a claim.
func (e *engine) write(it *pipeline.Item, v verdict) (err error) {
	if v.lost {
		return nil
	}
	for try := range writeTries {
		if try > 0 && !pause(e.books, writeWait<<try) {
			break
		}
		if v.release {
			err = e.nack(it, pipeline.Release{After: v.after, Refund: v.refund, Cause: v.err})
		} else {
			err = e.ack(it, e.outcome(it, v))
		}
		if err == nil || errors.Is(err, pipeline.ErrLeaseLost) {
			return err
		}
		e.log.Warn("the source did not take an item's end", "item", it.ID, "try", try+1, "error", err)
	}
	return err
}

func (e *engine) ack(it *pipeline.Item, o pipeline.Outcome) (err error) {
	defer sched.Catch(&err)
	return e.source.Ack(e.books, it, o)
}

func (e *engine) nack(it *pipeline.Item, r pipeline.Release) (err error) {
	defer sched.Catch(&err)
	return e.source.Nack(e.books, it, r)
}

// pause waits, and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// book counts and reports the end of a claim.
func (e *engine) book(f *sched.Flight, v verdict, err error) {
	j, it := own(f), f.Item
	var elapsed time.Duration
	if j.timed {
		elapsed = e.now() - j.start
	}
	obs := &e.o.Observer
	switch {
	case err != nil:
		e.stats.unsettled(err)
	case v.lost:
		e.stats.lost.Add(1)
		e.log.Warn("lease lost: the item was given to somebody else, its result here does not count", "item", it.ID, "token", it.Token)
		if obs.Lost != nil {
			obs.Lost(it)
		}
	case v.release:
		e.released(it, v, elapsed)
	default:
		e.past.ended(it.ID)
		e.stats.ended(v.result)
		if j.timed {
			e.stats.time.Record(elapsed)
		}
		e.logEnd(it, v)
		if obs.Ended != nil {
			obs.Ended(it, e.outcome(it, v), elapsed)
		}
	}
	if j.span != nil {
		j.span.End(spanEnd(it, v, err))
	}
}

func (e *engine) released(it *pipeline.Item, v verdict, elapsed time.Duration) {
	e.past.released(it.ID, elapsed, v.refund)
	obs := &e.o.Observer
	if v.refund {
		e.stats.refunded.Add(1)
	} else {
		e.stats.retries.Add(1)
		if obs.Retried != nil {
			obs.Retried(it, v.err, v.after, true)
		}
	}
	if obs.Released != nil {
		obs.Released(it, pipeline.Release{After: v.after, Refund: v.refund, Cause: v.err})
	}
	e.log.Debug("item given back", "item", it.ID, "after", v.after, "refund", v.refund, "error", v.err)
}

func (e *engine) logEnd(it *pipeline.Item, v verdict) {
	switch v.result {
	case pipeline.Dead, pipeline.Dropped:
		e.log.Warn("item failed", "item", it.ID, "result", string(v.result), "attempt", it.Attempt,
			"code", pipeline.CodeOf(v.err), "error", v.err)
	}
}
