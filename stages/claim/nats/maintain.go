package nats

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/waybill-dev/waybill/pipeline"
)

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts. Each item is one write; after
// an error some may be done.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	if f.State != "" && f.State != pipeline.StateDead {
		return 0, nil
	}
	f.State = pipeline.StateDead
	return q.forEach(ctx, "retry", f, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		if x.st.State != pipeline.StateDead {
			return stateRecord{}, nil, errUnchanged
		}
		next := stateRecord{State: pipeline.StateReady, Token: x.st.Token, Events: x.st.Events, NoDeadline: x.st.NoDeadline || x.late(now)}
		return next, &pipeline.Event{What: "replayed", Attempt: x.st.Attempts}, nil
	})
}

// Drop deletes items that are not leased, with their history. Each item is one
// write, its tombstone; what it had in the stream is deleted afterwards, by
// whoever comes first.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.forEach(ctx, "drop", f, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		if x.st.State == pipeline.StateLeased {
			return stateRecord{}, nil, errUnchanged
		}
		return stateRecord{State: stateDropped, Ended: now}, nil, nil
	})
	if n > 0 {
		q.sweep(context.WithoutCancel(ctx), 0)
	}
	return n, err
}

// forEach makes a transition of every item of a filter, as many as have it.
func (q *Queue) forEach(ctx context.Context, what string, f pipeline.Filter, decide transition) (int, error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail(what, err)
	}
	limit := f.Limit
	q.replica.mu.Lock()
	var all []*item
	for _, x := range q.replica.selected(f, 0) {
		if limit > 0 && len(all) == limit {
			break
		}
		if x.st.State != pipeline.StateLeased {
			all = append(all, x)
		}
	}
	q.replica.mu.Unlock()
	var n atomic.Int64
	errs := make([]error, len(all))
	each(len(all), func(i int) {
		_, err := q.change(ctx, all[i].ID, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
			if x != all[i] {
				return stateRecord{}, nil, errUnchanged
			}
			return decide(x, now)
		})
		switch {
		case err == nil:
			n.Add(1)
		case !errors.Is(err, errUnchanged) && !errors.Is(err, pipeline.ErrNotFound):
			errs[i] = err
		}
	})
	return int(n.Load()), q.fail(what, errors.Join(errs...))
}
