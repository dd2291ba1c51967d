package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

// Claim leases at most max claimable items, highest priority first and oldest
// first inside one, as far as this process has read the queue. Its context
// matters only until the claim is made.
func (q *Queue) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if err := q.usable(ctx); err != nil || max <= 0 {
		return nil, q.fail("claim", err)
	}
	q.started.Do(q.startReaper)
	ctx = context.WithoutCancel(ctx)
	var out []*pipeline.Item
	for fresh := false; ; {
		got, lost, err := q.claimPicked(ctx, max-len(out))
		out = append(out, got...)
		switch {
		case err != nil && len(out) == 0:
			return nil, q.fail("claim", err)
		case err != nil || len(out) == max || fresh && lost == 0 || lost > 0 && len(out) > 0:
			// After an error the leases that were made still reach the caller.
			return out, nil
		}
		// Fewer than asked for: perhaps there is more than was read so far.
		if err := q.barrier(ctx); err != nil {
			if len(out) > 0 {
				return out, nil
			}
			return nil, q.fail("claim", err)
		}
		fresh = true
	}
}

// usable reports what keeps an operation from beginning.
func (q *Queue) usable(ctx context.Context) error {
	if q.closed() {
		return errClosed
	}
	return ctx.Err()
}

// claimPicked claims at most max items that the replica says are claimable, and
// says how many others took first.
func (q *Queue) claimPicked(ctx context.Context, max int) (out []*pipeline.Item, lost int, err error) {
	picked := q.pick(max)
	items, errs := make([]*pipeline.Item, len(picked)), make([]error, len(picked))
	each(len(picked), func(i int) { items[i], errs[i] = q.claimOne(ctx, picked[i]) })
	q.replica.mu.Lock()
	for _, x := range picked {
		q.replica.turns.release(x)
	}
	q.replica.mu.Unlock()
	for i, e := range errs {
		switch {
		case e == nil:
			out = append(out, items[i])
		case errors.Is(e, errUnchanged), errors.Is(e, pipeline.ErrNotFound):
			lost++
		default:
			err = errors.Join(err, e)
		}
	}
	return out, lost, err
}

func (q *Queue) pick(max int) []*item {
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	now := q.clock.now()
	var out []*item
	for len(out) < max {
		x := q.replica.turns.pick(now)
		if x == nil {
			break
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b *item) int { return b.Priority - a.Priority })
	return out
}

// claimOne leases one item: state, attempts, token and the lease's end in one
// write. A condemned item gets a lease and a token, but no attempt.
func (q *Queue) claimOne(ctx context.Context, picked *item) (*pipeline.Item, error) {
	var condemned error
	st, err := q.change(ctx, picked.ID, func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		mine := x.key == nil || x.key.leased == 0 && x.key.head() == x
		if x != picked || !x.ready() || !mine || x.wake() > now && !x.late(now) {
			return stateRecord{}, nil, errUnchanged
		}
		next := x.st
		limit := x.MaxAttempts
		if limit == 0 {
			limit = q.opt.MaxAttempts
		}
		used := next.Expired && limit > 0 && next.Attempts >= limit
		switch {
		case x.late(now):
			condemned = pipeline.DeadlineExceeded(instant(x.deadline()))
		case used:
			condemned = pipeline.AttemptsExhausted(next.Attempts)
		default:
			condemned = nil
			next.Attempts++
		}
		next.State, next.Expired, next.Owner, next.Token = pipeline.StateLeased, used, q.opt.Owner, 0
		next.LeaseUntil = now + q.opt.Lease.Milliseconds()
		return next, nil, nil
	})
	if err != nil {
		return nil, err
	}
	it := &pipeline.Item{ID: picked.ID, Key: picked.Key, Queue: q.names.queue, Priority: picked.Priority, Attempt: st.Attempts,
		MaxAttempts: picked.MaxAttempts, Token: int64(st.Token), Enqueued: instant(picked.Enqueued), Trace: picked.Trace, Condemned: condemned}
	if !st.NoDeadline {
		it.Deadline = instant(picked.Deadline)
	}
	return it, q.fill(ctx, it, picked)
}

// fill adds body and meta data. What cannot be read condemns the item; if nobody
// answers, it goes back.
func (q *Queue) fill(ctx context.Context, it *pipeline.Item, x *item) error {
	meta, body, err := q.payload(ctx, x)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, errUnreadable) {
		return q.condemn(ctx, it, pipeline.Fail("unreadable", "the item cannot be read: %w", err))
	}
	if err != nil {
		back := q.Nack(ctx, it, pipeline.Release{Refund: true, Cause: err})
		return errors.Join(err, back)
	}
	if it.Meta = meta; len(body) > 0 {
		it.Input, it.Body = body, pipeline.RawBody(body, pipeline.MediaJSON)
	}
	return nil
}

// condemn takes back the attempt of a claim that turned out to be for nothing.
func (q *Queue) condemn(ctx context.Context, it *pipeline.Item, why error) error {
	if it.Condemned != nil {
		return nil
	}
	st, err := q.change(ctx, it.ID, func(x *item, _ int64) (stateRecord, *pipeline.Event, error) {
		next := x.st
		if !holds(x, it) {
			return next, nil, errUnchanged
		}
		next.Attempts--
		return next, nil, nil
	})
	if err == nil {
		it.Condemned, it.Attempt = why, st.Attempts
	}
	return err
}

var errUnreadable = errors.New("its message is damaged")

// payload reads what only the item's message has.
func (q *Queue) payload(ctx context.Context, x *item) (meta map[string]string, body []byte, err error) {
	if x.Meta == 0 && x.Body == 0 {
		return nil, nil, nil
	}
	data, err := q.load(ctx, x.seq)
	if err != nil {
		return nil, nil, err
	}
	if len(data) != x.Meta+x.Body {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", errUnreadable, len(data), x.Meta+x.Body)
	}
	if x.Meta > 0 {
		if err := json.Unmarshal(data[:x.Meta], &meta); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errUnreadable, err)
		}
	}
	return meta, data[x.Meta:], nil
}
