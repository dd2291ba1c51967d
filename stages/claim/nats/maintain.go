package nats

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts. Each item is one write; after
// an error some may be done.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	could := func(x *item) bool { return x.st.State == pipeline.StateDead && x.st.Moving == nil }
	return q.forEach(ctx, "retry", f, could, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		next := stateRecord{State: pipeline.StateReady, Token: x.st.Token, Events: x.st.Events, NoDeadline: x.st.NoDeadline || x.late(now)}
		return next, &pipeline.Event{What: "replayed", Attempt: x.st.Attempts}, nil
	})
}

// Cancel marks items that have not ended, and takes those that are leased from
// their workers. What is marked already is left as it is. Each item is one write;
// after an error some may be done.
func (q *Queue) Cancel(ctx context.Context, f pipeline.Filter) (int, error) {
	could := func(x *item) bool {
		return (x.st.State == pipeline.StateReady || x.st.State == pipeline.StateLeased) && !x.st.Cancelled && x.st.Moving == nil
	}
	return q.forEach(ctx, "cancel", f, could, func(x *item, _ int64) (stateRecord, *pipeline.Event, error) {
		next := x.st
		next.State, next.LeaseUntil, next.Owner, next.Cancelled = pipeline.StateReady, 0, "", true
		return next, &pipeline.Event{What: "cancelled", Attempt: next.Attempts, Code: pipeline.CodeCancelled}, nil
	})
}

// Drop deletes items that are not leased, with their history. Each item is one
// write, its tombstone; what it had in the stream is deleted afterwards, by
// whoever comes first.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.forEach(ctx, "drop", f, (*item).atRest, bury)
	if n > 0 {
		q.sweep(context.WithoutCancel(ctx), 0)
	}
	return n, err
}

// atRest reports whether nobody works on the item or carries it away.
func (x *item) atRest() bool { return x.st.State != pipeline.StateLeased && x.st.Moving == nil }

func bury(_ *item, now int64) (stateRecord, *pipeline.Event, error) {
	return stateRecord{State: stateDropped, Ended: now}, nil, nil
}

// Compact deletes items that were done long enough ago, and every message that
// nothing refers to. Tombstones stay a day: another process may not have read
// them yet. Before and After are the bytes of the stream's messages; the server
// gives the disk back by itself, a block at a time.
func (q *Queue) Compact(ctx context.Context, keep time.Duration) (pipeline.Compaction, error) {
	var c pipeline.Compaction
	before, err := q.bytes(ctx)
	if err != nil {
		return c, q.fail("compact", err)
	}
	done := func(x *item) bool {
		return x.atRest() && x.st.State == pipeline.StateDone && q.clock.now()-x.st.Ended >= keep.Milliseconds()
	}
	n, err := q.forEach(ctx, "compact", pipeline.Filter{}, done, bury)
	if c.Deleted = int64(n); err != nil {
		return c, err
	}
	q.sweep(context.WithoutCancel(ctx), 0)
	after, err := q.bytes(ctx)
	c.Before, c.After = before, after
	return c, q.fail("compact", err)
}

// bytes returns the size of the stream.
func (q *Queue) bytes(ctx context.Context) (n int64, err error) {
	err = q.insist(ctx, func(ctx context.Context) error {
		info, err := q.stream.Info(ctx)
		if err == nil {
			n = int64(info.State.Bytes)
		}
		return err
	})
	return n, err
}

// Pause stops claims, in every process, or resumes them. A claim that another
// process writes at the same moment is taken back by it, without a trace, before
// a worker sees it.
func (q *Queue) Pause(ctx context.Context, paused bool) error {
	if err := q.catchUp(ctx); err != nil {
		return q.fail("pause", err)
	}
	for {
		q.replica.mu.Lock()
		done, expect := q.replica.paused == paused, condition{q.names.pause(), q.replica.pausing}
		q.replica.mu.Unlock()
		if done {
			return nil
		}
		m, err := message(expect.subject, pauseRecord{paused}, nil)
		if err != nil {
			return err
		}
		var refused conflict
		seq, err := q.publish(ctx, m, expect)
		switch {
		case err == nil:
			err = q.reached(ctx, q.tail, seq)
		case errors.As(err, &refused):
			err = q.barrier(ctx)
		}
		if err != nil {
			return q.fail("pause", err)
		}
	}
}

// forEach makes a transition of every item of a filter that could make it, and
// returns how many have.
func (q *Queue) forEach(ctx context.Context, what string, f pipeline.Filter, could func(*item) bool, decide transition) (int, error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail(what, err)
	}
	q.replica.mu.Lock()
	all := q.replica.selected(f, q.clock.now(), f.Limit, could)
	q.replica.mu.Unlock()
	changed, err := q.changeAll(ctx, all, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		if !could(x) {
			return stateRecord{}, nil, errUnchanged
		}
		return decide(x, now)
	})
	return len(changed), q.fail(what, err)
}

// changeAll makes a transition of each of these items and returns those that
// have it. An item that is no longer what it was, or is gone, is left out.
func (q *Queue) changeAll(ctx context.Context, all []*item, decide transition) (changed []*item, err error) {
	errs := make([]error, len(all))
	each(len(all), func(i int) {
		_, errs[i] = q.change(ctx, all[i].ID, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
			if x != all[i] {
				return stateRecord{}, nil, errUnchanged
			}
			return decide(x, now)
		})
	})
	for i, e := range errs {
		switch {
		case e == nil:
			changed = append(changed, all[i])
		case !errors.Is(e, errUnchanged) && !errors.Is(e, pipeline.ErrNotFound):
			err = errors.Join(err, e)
		}
	}
	return changed, err
}
