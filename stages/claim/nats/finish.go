package nats

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
)

// Ack ends the item, durable when it returns. The same acknowledgement again
// changes nothing and succeeds; any other under a token that is no longer the
// live one is ErrLeaseLost.
func (q *Queue) Ack(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	state := pipeline.StateDone
	var event string
	switch o.Result {
	case pipeline.Succeeded, pipeline.Skipped:
	case pipeline.Dropped:
		event = "dropped"
	case pipeline.Dead:
		state, event = pipeline.StateDead, "dead"
	default:
		return pipeline.Fail("bad-outcome", "%q is not a result", o.Result)
	}
	return q.end(ctx, "ack", it, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		next := x.st
		if ended(next.State) && next.Token == uint64(it.Token) && next.Result == o.Result && next.Digest == o.Digest {
			return next, nil, errUnchanged
		}
		if !holds(x, it) {
			return next, nil, pipeline.ErrLeaseLost
		}
		next.State, next.Result, next.Digest, next.Ended, next.LeaseUntil = state, o.Result, o.Digest, now, 0
		if event == "" {
			return next, nil, nil
		}
		return next, causeEvent(event, it.Attempt, o.Cause), nil
	})
}

// holds is the condition of every write of a worker: id, token, leased.
func holds(x *item, it *pipeline.Item) bool {
	return x.st.State == pipeline.StateLeased && x.st.Token == uint64(it.Token)
}

// Nack makes the item ready again, now or after a wait.
func (q *Queue) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	return q.end(ctx, "nack", it, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		next := x.st
		if !holds(x, it) {
			return next, nil, pipeline.ErrLeaseLost
		}
		what := "retry"
		if r.Refund {
			what = "released"
			if it.Condemned == nil {
				next.Attempts-- // a condemned claim counted none
			}
		}
		next.State, next.LeaseUntil, next.Owner, next.NotBefore = pipeline.StateReady, 0, "", 0
		if r.After > 0 {
			next.NotBefore = now + r.After.Milliseconds() + 1 // rounded up: the wait is a lower bound
		}
		return next, causeEvent(what, it.Attempt, r.Cause), nil
	})
}

// end makes a transition by which an item leaves its lease.
func (q *Queue) end(ctx context.Context, what string, it *pipeline.Item, decide transition) error {
	if err := q.usable(ctx); err != nil {
		return q.fail(what, err)
	}
	_, err := q.changeKnown(context.WithoutCancel(ctx), it.ID, decide)
	switch {
	case errors.Is(err, errUnchanged):
		return nil
	case errors.Is(err, pipeline.ErrLeaseLost), errors.Is(err, pipeline.ErrNotFound):
		return q.lost(it)
	}
	return q.fail(what, err)
}

// changeKnown is change for who has been told about the item by another process,
// which may be ahead of the replica: a refusal is checked against the stream.
func (q *Queue) changeKnown(ctx context.Context, id string, decide transition) (stateRecord, error) {
	st, err := q.change(ctx, id, decide)
	if !errors.Is(err, pipeline.ErrLeaseLost) && !errors.Is(err, pipeline.ErrNotFound) {
		return st, err
	}
	if err := q.barrier(ctx); err != nil {
		return st, err
	}
	return q.change(ctx, id, decide)
}

// Renew extends the leases, from now on, and returns those that are lost. What
// could not be asked about is not lost.
func (q *Queue) Renew(ctx context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	if err := q.usable(ctx); err != nil {
		return nil, q.fail("renew", err)
	}
	ctx = context.WithoutCancel(ctx)
	errs := make([]error, len(items))
	each(len(items), func(i int) {
		_, errs[i] = q.changeKnown(ctx, items[i].ID, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
			next := x.st
			if !holds(x, items[i]) {
				return next, nil, pipeline.ErrLeaseLost
			}
			next.LeaseUntil = now + q.opt.Lease.Milliseconds()
			return next, nil, nil
		})
	})
	for i, e := range errs {
		switch {
		case errors.Is(e, pipeline.ErrLeaseLost), errors.Is(e, pipeline.ErrNotFound):
			lost = append(lost, items[i])
		case e != nil:
			err = errors.Join(err, e)
		}
	}
	return lost, q.fail("renew", err)
}
