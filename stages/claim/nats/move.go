package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// moveSlice is how many items are on their way to another queue at a time.
	moveSlice = 1000
	// graceOfMove is how old a move is when the reaper finishes it: its process
	// has died.
	graceOfMove = time.Minute
	// moveTries is how often a move begins anew when somebody else writes into the
	// other queue at the same moment.
	moveTries = 3
)

// Move puts items that are not leased into another queue, a thousand at a time:
// they are marked here, written there and decided by one message there, and
// dropped here. Before that message nothing has moved, and from it on everything
// has; whoever dies in between leaves marked items, which no claim takes and a
// reaper of this queue finishes by the decision.
func (q *Queue) Move(ctx context.Context, f pipeline.Filter, to string) (int, error) {
	if to == "" || to == q.names.queue {
		return 0, pipeline.Fail("bad-queue", "queue %q cannot be moved to %q", q.names.queue, to).WithHint("name another queue")
	}
	target, err := q.sibling(ctx, to)
	if err != nil {
		return 0, err
	}
	defer target.Close()
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail("move", err)
	}
	q.replica.mu.Lock()
	all := q.replica.selected(f, q.clock.now(), f.Limit, (*item).atRest)
	q.replica.mu.Unlock()
	if err := target.accepts(q, all); err != nil {
		return 0, err
	}
	moved := 0
	for len(all) > 0 {
		n := min(len(all), moveSlice)
		done, err := q.moveSlice(context.WithoutCancel(ctx), target, all[:n])
		if moved += done; err != nil {
			return moved, q.fail("move", err)
		}
		if ctx.Err() != nil {
			return moved, ctx.Err()
		}
		all = all[n:]
	}
	return moved, nil
}

// sibling opens another queue of the same server, which is made if need be, with
// as many replicas.
func (q *Queue) sibling(ctx context.Context, name string) (*Queue, error) {
	o := q.opt
	o.Queue, o.Create = name, true
	return q.door.openLike(ctx, o, q.replicas)
}

// moveSlice moves items, beginning anew if somebody else writes one of their
// names into the other queue meanwhile.
func (q *Queue) moveSlice(ctx context.Context, target *Queue, all []*item) (n int, err error) {
	for range moveTries {
		n, err = q.moveOnce(ctx, target, all)
		var refused conflict
		if !errors.As(err, &refused) {
			return n, err
		}
		if err := target.barrier(ctx); err != nil {
			return 0, err
		}
		if err := target.accepts(q, all); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (q *Queue) moveOnce(ctx context.Context, target *Queue, all []*item) (int, error) {
	j := journey{To: target.names.queue, Batch: strings.ToLower(rand.Text()), At: q.clock.now()}
	marked, err := q.changeAll(ctx, all, departs(j))
	if err == nil && len(marked) > 0 {
		err = target.arrive(ctx, j.Batch, len(marked), func(i int) (arrival, error) { return q.depart(ctx, marked[i]) })
	}
	there := err == nil
	if !there { // its own decision may have been made, and the answer lost
		var unknown error
		if there, unknown = q.arrived(ctx, j); unknown != nil {
			return 0, errors.Join(err, unknown)
		}
	}
	_, late := q.changeAll(ctx, marked, landed(j, there))
	if there {
		return len(marked), late
	}
	return 0, errors.Join(err, late)
}

// departs marks an item that is at rest.
func departs(j journey) transition {
	return func(x *item, _ int64) (stateRecord, *pipeline.Event, error) {
		if !x.atRest() {
			return stateRecord{}, nil, errUnchanged
		}
		next := x.st
		next.Moving = &j
		return next, nil, nil
	}
}

// landed ends the journey of an item: it is in the other queue now, or it stays.
func landed(j journey, there bool) transition {
	return func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		if x.st.Moving == nil || *x.st.Moving != j {
			return stateRecord{}, nil, errUnchanged
		}
		if there {
			return bury(x, now)
		}
		next := x.st
		next.Moving = nil
		return next, nil, nil
	}
}

// accepts reports whether no id and no idempotency key of the items is in this
// queue already.
func (q *Queue) accepts(from *Queue, all []*item) error {
	type name struct{ id, idem string }
	names := make([]name, len(all))
	from.replica.mu.Lock()
	for i, x := range all {
		names[i] = name{x.ID, from.replica.heldIdem(x, from.clock.now())}
	}
	from.replica.mu.Unlock()
	r := q.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	now := q.clock.now()
	for _, n := range names {
		if r.items[n.id] != nil {
			return q.duplicate(n.id)
		}
		if x := r.holders[n.idem]; n.idem != "" && x != nil && x.holdsIdem(now) {
			refusal := pipeline.Fail("duplicate-key", "queue %q has an item %q with the idempotency key %q already", q.names.queue, x.ID, n.idem)
			refusal.Item = n.id
			return refusal
		}
	}
	return nil
}

// depart returns an item as it goes to another queue.
func (q *Queue) depart(ctx context.Context, x *item) (arrival, error) {
	now := q.clock.now()
	q.replica.mu.Lock()
	a := arrival{rec: x.itemRecord}
	a.rec.Idem = q.replica.heldIdem(x, now)
	first, past := x.st, x.past()
	q.replica.mu.Unlock()
	first.Moving = nil
	data, err := q.load(ctx, x.seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && x.Meta+x.Body == 0 {
		err = nil
	}
	if err != nil || len(data) < x.Meta+x.Body {
		return a, errors.Join(err, fmt.Errorf("item %s: %w", x.ID, errUnreadable))
	}
	history, err := q.history(ctx, past)
	if err != nil {
		return a, err
	}
	a.data, a.first = data[:x.Meta+x.Body], first
	a.history = append(history, pipeline.Event{At: instant(now), Attempt: first.Attempts, What: "moved"})
	return a, nil
}

// arrived reports whether a move was decided so. If it was not decided at all, it
// is now: nothing was moved.
func (q *Queue) arrived(ctx context.Context, j journey) (bool, error) {
	to := names{j.To}
	if err := q.exists(ctx, to); err != nil {
		return false, err
	}
	m, err := message(to.batch(j.Batch), batchRecord{Batch: j.Batch, At: q.clock.now()}, nil)
	if err != nil {
		return false, err
	}
	var refused conflict
	if _, err := q.publish(ctx, m, condition{m.Subject, 0}); !errors.As(err, &refused) {
		return false, err
	}
	question, err := json.Marshal(map[string]string{"last_by_subj": m.Subject})
	if err != nil {
		return false, err
	}
	var decision batchRecord
	err = q.insist(ctx, func(ctx context.Context) error {
		answer, err := q.askLeader(ctx, to.stream(), question)
		if err != nil {
			return err
		}
		decision, err = recordOf[batchRecord](answer)
		return err
	})
	return decision.Committed, err
}

// exists finds out whether there is another queue: a message to one that is not
// there gets no answer, as one to a stream that elects its leader.
func (q *Queue) exists(ctx context.Context, n names) error {
	err := q.insist(ctx, func(ctx context.Context) error {
		_, err := q.js.Stream(ctx, n.stream())
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return pipeline.Fail("no-queue", "%s: items of queue %q are on their way to queue %q, which is gone: %w", q.url, q.names.queue, n.queue, pipeline.ErrNoQueue).
			WithHint("make it again, and they stay here")
	}
	return err
}

// settleMoves finishes the moves whose process has died.
func (q *Queue) settleMoves(ctx context.Context) error {
	late := map[journey][]*item{}
	now := q.clock.now()
	q.replica.mu.Lock()
	for x := range q.replica.moving {
		if j := *x.st.Moving; now-j.At >= graceOfMove.Milliseconds() {
			late[j] = append(late[j], x)
		}
	}
	q.replica.mu.Unlock()
	var errs []error
	for j, items := range late {
		there, err := q.arrived(ctx, j)
		if err == nil {
			_, err = q.changeAll(ctx, items, landed(j, there))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
