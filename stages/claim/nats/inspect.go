package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

// Stats counts the queue after reading everything that the stream had when it
// was called. Each item is counted once, in one state.
func (q *Queue) Stats(ctx context.Context) (pipeline.QueueStats, error) {
	if err := q.catchUp(ctx); err != nil {
		return pipeline.QueueStats{}, q.fail("stats", err)
	}
	r := q.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	s := pipeline.QueueStats{Ready: r.count[pipeline.StateReady], Leased: r.count[pipeline.StateLeased],
		Done: r.count[pipeline.StateDone], Dead: r.count[pipeline.StateDead]}
	now := q.clock.now()
	s.Delayed, _ = r.turns.waiting(now)
	s.Enqueued = s.Ready + s.Leased + s.Done + s.Dead
	s.Paused = r.paused
	if x := r.turns.oldest(now); x != nil {
		s.AgeSeconds = max(0, time.Duration(now-x.Enqueued)*time.Millisecond).Seconds()
	}
	return s, nil
}

// Pending counts the items that are not at their end. A deadline ends a delay.
func (q *Queue) Pending(ctx context.Context) (n int64, next time.Time, err error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, time.Time{}, q.fail("pending", err)
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	_, at := q.replica.turns.waiting(q.clock.now())
	return q.replica.count[pipeline.StateReady] + q.replica.count[pipeline.StateLeased], instant(at), nil
}

// Count returns how many entries match, as of one moment.
func (q *Queue) Count(ctx context.Context, f pipeline.Filter) (int64, error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail("count", err)
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	return int64(len(q.replica.selected(f, q.clock.now(), f.Limit, nil))), nil
}

func (q *Queue) catchUp(ctx context.Context) error {
	if err := q.usable(ctx); err != nil {
		return err
	}
	return q.barrier(ctx)
}

// matches reports whether a filter selects the item.
func (x *item) matches(f pipeline.Filter, now int64) bool {
	return !x.gone && (f.State == "" || x.st.State == f.State) && (f.Key == "" || x.Key == f.Key) &&
		(f.Result == "" || x.st.Result == f.Result) && (f.OlderThan <= 0 || now-x.Enqueued >= f.OlderThan.Milliseconds())
}

// selected returns the items of a filter that also pass a test, oldest first;
// limit 0 is no limit. Call it with the replica locked.
func (r *replica) selected(f pipeline.Filter, now int64, limit int, also func(*item) bool) []*item {
	from := r.order
	if f.IDs != nil {
		from = nil
		for _, id := range slices.Compact(slices.Sorted(slices.Values(f.IDs))) {
			if x := r.items[id]; x != nil {
				from = append(from, x)
			}
		}
		slices.SortFunc(from, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
	}
	var out []*item
	for _, x := range from {
		if limit > 0 && len(out) == limit {
			break
		}
		if x.matches(f, now) && (also == nil || also(x)) {
			out = append(out, x)
		}
	}
	return out
}

// seen is an entry with what is needed to read the rest of it.
type seen struct {
	entry pipeline.Entry
	item  item
	past  past
}

// look notes where an item stands. Call it with the replica locked.
func (q *Queue) look(x *item) seen {
	st := x.st
	e := pipeline.Entry{ID: x.ID, Queue: q.names.queue, State: st.State, Key: x.Key, Priority: x.Priority, Attempts: st.Attempts,
		Token: int64(st.Token), Owner: st.Owner, Enqueued: instant(x.Enqueued), NotBefore: instant(st.NotBefore), Deadline: instant(x.deadline()),
		LeaseUntil: instant(st.LeaseUntil), Ended: instant(st.Ended), Result: st.Result, Digest: st.Digest, Trace: x.Trace,
		MaxAttempts: x.MaxAttempts, Cancelled: st.Cancelled}
	if e.IdempotencyKey = q.replica.heldIdem(x, q.clock.now()); e.IdempotencyKey != "" {
		e.IdempotencyScope, e.IdempotencyUntil = x.scope(), instant(x.IdemUntil)
	}
	return seen{e, item{itemRecord: x.itemRecord, seq: x.seq}, x.past()}
}

// List returns entries without bodies and history, oldest first.
func (q *Queue) List(ctx context.Context, f pipeline.Filter) ([]pipeline.Entry, error) {
	if err := q.catchUp(ctx); err != nil {
		return nil, q.fail("list", err)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q.replica.mu.Lock()
	all := []seen{}
	for _, x := range q.replica.selected(f, q.clock.now(), f.Limit, nil) {
		all = append(all, q.look(x))
	}
	q.replica.mu.Unlock()
	errs := make([]error, len(all))
	each(len(all), func(i int) { errs[i] = q.complete(ctx, &all[i]) })
	if err := errors.Join(errs...); err != nil {
		return nil, q.fail("list", err)
	}
	out := make([]pipeline.Entry, len(all))
	for i := range all {
		out[i] = all[i].entry
	}
	return out, nil
}

// complete reads what a list shows and the replica does not have: meta data, and
// why an item is dead. What has changed since is left out.
func (q *Queue) complete(ctx context.Context, s *seen) error {
	if s.item.Meta > 0 {
		meta, _, err := q.payload(ctx, &s.item)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		s.entry.Meta = meta
	}
	if s.entry.State != pipeline.StateDead {
		return nil
	}
	history, err := q.history(ctx, s.past)
	var refused conflict
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	s.entry.Error = lastError(s.entry.State, history)
	return nil
}

// lastError returns why an item is dead.
func lastError(s pipeline.ItemState, history []pipeline.Event) string {
	if s != pipeline.StateDead || len(history) == 0 {
		return ""
	}
	return history[len(history)-1].Error
}

// Show returns one whole entry or ErrNotFound, as of one moment.
func (q *Queue) Show(ctx context.Context, id string) (pipeline.Entry, error) {
	if err := q.catchUp(ctx); err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	e, err := q.whole(ctx, func() *item { return q.replica.items[id] })
	if errors.Is(err, pipeline.ErrNotFound) {
		return e, fmt.Errorf("%s: queue %q: item %q: %w", q.url, q.names.queue, id, err)
	}
	return e, q.fail("show", err)
}

// whole reads an entry with everything that it has. If it changes meanwhile, it
// is found again.
func (q *Queue) whole(ctx context.Context, find func() *item) (pipeline.Entry, error) {
	for {
		q.replica.mu.Lock()
		x := find()
		if x == nil || x.gone {
			q.replica.mu.Unlock()
			return pipeline.Entry{}, pipeline.ErrNotFound
		}
		s := q.look(x)
		q.replica.mu.Unlock()
		history, err := q.history(ctx, s.past)
		var refused conflict
		if errors.As(err, &refused) {
			if err := q.barrier(ctx); err != nil {
				return pipeline.Entry{}, err
			}
			continue // it has changed in between
		}
		if err == nil {
			s.entry.History, s.entry.Error = history, lastError(s.entry.State, history)
			s.entry.Meta, s.entry.Body, err = q.payload(ctx, &s.item)
		}
		return s.entry, err
	}
}
