package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

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
	out, err := q.claim(context.WithoutCancel(ctx), max)
	if len(out) > 0 || err == nil {
		// After an error the leases that were made still reach the caller.
		q.replica.turns.bell.Claimed(len(out))
		return out, nil
	}
	return nil, q.fail("claim", err)
}

// claim is Claim; after an error it returns what it got before.
func (q *Queue) claim(ctx context.Context, max int) (out []*pipeline.Item, err error) {
	for fresh := false; ; {
		got, lost, err := q.claimPicked(ctx, max-len(out))
		out = append(out, got...)
		switch {
		case err != nil || len(out) == max || fresh && lost == 0 || lost > 0 && len(out) > 0:
			return out, err
		case lost > 0:
			continue // what others have taken was read meanwhile
		}
		// Fewer than asked for: perhaps there is more than was read so far.
		if err := q.barrier(ctx); err != nil {
			return out, err
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
	for i, e := range errs {
		switch {
		case e == nil:
			out = append(out, items[i])
		case errors.Is(e, errUnchanged), errors.Is(e, pipeline.ErrNotFound):
			lost++
			q.conflicts.Add(1)
		default:
			err = errors.Join(err, e)
		}
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	for _, x := range picked {
		q.replica.turns.release(x)
	}
	if lost > 0 {
		q.replica.turns.beaten = time.Now()
	}
	return out, lost, err
}

// mayFind reports whether a claim would find something, as far as was read.
func (q *Queue) mayFind() bool {
	lanes := q.lanes()
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	return !q.replica.paused && q.replica.turns.next(q.clock.now(), lanes, false) != nil
}

// lanes are those that this process may claim from now.
func (q *Queue) lanes() pipeline.LaneSet {
	if q.opt.Lanes != nil {
		return q.opt.Lanes()
	}
	return pipeline.AllLanes
}

func (q *Queue) pick(max int) []*item {
	lanes := q.lanes()
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	now := q.clock.now()
	var out []*item
	for len(out) < max && !q.replica.paused {
		x := q.replica.turns.pick(now, lanes, max)
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
	content := q.loadAhead(ctx, picked)
	var condemned error
	var before stateRecord
	st, err := q.change(ctx, picked.ID, func(x *item, now int64) (next stateRecord, event *pipeline.Event, err error) {
		if x != picked || !q.claimable(x, now) {
			return next, nil, errUnchanged
		}
		before = x.st
		next, condemned = q.lease(x, now)
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
	err = q.fill(ctx, it, <-content)
	if err == nil {
		err = q.reached(ctx, q.tail, st.Token-st.Floor)
	}
	if err != nil {
		return nil, errors.Join(err, q.Nack(ctx, it, pipeline.Release{Refund: true, Cause: err}))
	}
	return it, q.unlessPaused(ctx, it, before)
}

// claimable reports whether nothing speaks against a claim of the item, which
// this process has marked as busy.
func (q *Queue) claimable(x *item, now int64) bool {
	mine := x.key == nil || x.key.leased == 0 && x.key.head() == x
	return mine && x.ready() && x.st.Moving == nil && !q.replica.paused && (x.wake() <= now || x.late(now))
}

// lease returns an item's state under a new lease, and why it may not run.
func (q *Queue) lease(x *item, now int64) (next stateRecord, condemned error) {
	next = x.st
	limit := x.MaxAttempts
	if limit == 0 {
		limit = q.opt.MaxAttempts
	}
	used := next.Expired && limit > 0 && next.Attempts >= limit
	switch {
	case next.Cancelled:
		condemned = pipeline.CancelledItem()
	case x.late(now):
		condemned = pipeline.DeadlineExceeded(instant(x.deadline()))
	case used:
		condemned = pipeline.AttemptsExhausted(next.Attempts)
	default:
		next.Attempts++
	}
	next.State, next.Expired, next.Owner, next.Token, next.Floor = pipeline.StateLeased, used, q.opt.Owner, 0, q.replica.floor
	next.LeaseUntil = now + q.opt.Lease.Milliseconds()
	return next, condemned
}

// unlessPaused takes a claim back that was written after the queue was paused,
// by a process that had not read of it: the claim has been read, and so has every
// message before it. What is on its way when Pause returns never reaches a worker.
func (q *Queue) unlessPaused(ctx context.Context, it *pipeline.Item, before stateRecord) error {
	q.replica.mu.Lock()
	paused := q.replica.paused
	q.replica.mu.Unlock()
	if !paused {
		return nil
	}
	_, err := q.change(ctx, it.ID, func(x *item, _ int64) (stateRecord, *pipeline.Event, error) {
		if !holds(x, it) {
			return stateRecord{}, nil, errUnchanged
		}
		next := before
		next.Token, next.Floor = x.st.Token, x.st.Floor
		return next, nil, nil
	})
	if err == nil {
		err = errUnchanged
	}
	return err
}

// content is what only an item's message has.
type content struct {
	meta map[string]string
	body []byte
	err  error
}

// loadAhead reads an item's message while its claim is written. The message never
// changes, and few claims come to nothing.
func (q *Queue) loadAhead(ctx context.Context, x *item) <-chan content {
	out := make(chan content, 1)
	if x.Meta == 0 && x.Body == 0 {
		out <- content{}
		return out
	}
	go func() {
		var c content
		c.meta, c.body, c.err = q.payload(ctx, x)
		out <- c
	}()
	return out
}

// fill adds body and meta data. What cannot be read condemns the item.
func (q *Queue) fill(ctx context.Context, it *pipeline.Item, c content) error {
	if errors.Is(c.err, jetstream.ErrMsgNotFound) || errors.Is(c.err, errUnreadable) {
		return q.condemn(ctx, it, pipeline.Fail("unreadable", "the item cannot be read: %w", c.err))
	}
	if c.err != nil {
		return c.err
	}
	if it.Meta = c.meta; len(c.body) > 0 {
		it.Input, it.Body = c.body, pipeline.RawBody(c.body, pipeline.MediaJSON)
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
	if want := x.Meta + x.Body + x.History; len(data) != want {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", errUnreadable, len(data), want)
	}
	if x.Meta > 0 {
		if err := json.Unmarshal(data[:x.Meta], &meta); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errUnreadable, err)
		}
	}
	return meta, data[x.Meta : x.Meta+x.Body], nil
}
