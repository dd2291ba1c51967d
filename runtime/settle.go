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
	if err != nil {
		err = e.explain(e.planOf(f), f, err)
	}
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
	f.Turn.Leave()
	v = e.commit(f, v)
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
			err = e.nack(e.books, it, pipeline.Release{After: v.after, Refund: v.refund, Cause: v.err})
		} else {
			err = e.ack(it, e.outcome(it, v))
		}
		if err == nil || errors.Is(err, pipeline.ErrLeaseLost) {
			return err
		}
		err = e.clean(err)
		e.log.Warn("the source did not take an item's end", "item", it.ID, "try", try+1, "error", err)
	}
	return err
}

func (e *engine) ack(it *pipeline.Item, o pipeline.Outcome) (err error) {
	defer sched.Catch(&err)
	return e.source.Ack(e.books, it, o)
}

func (e *engine) nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) (err error) {
	defer sched.Catch(&err)
	return e.source.Nack(ctx, it, r)
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
		e.unsettled(err)
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

// unsettled books an item whose end the source refused to take. Where claims do
// not expire, nobody will ever claim it again, and a run that waits for it would
// not end.
func (e *engine) unsettled(err error) {
	e.stats.unsettled(err)
	if e.lease <= 0 {
		e.halt(&UnsettledError{Items: 1, Err: err})
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
