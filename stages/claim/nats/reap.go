package nats

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// startReaper looks for expired leases now and then: at a quarter of the lease
// on average, so that a lost process is noticed soon after its leases end, and
// jittered, so that many processes do not do it all at once.
func (q *Queue) startReaper() {
	q.closing.Lock()
	defer q.closing.Unlock()
	if q.closed() {
		return
	}
	mean := min(max(q.opt.Lease/4, 20*time.Millisecond), 5*time.Second)
	q.reaper.Go(func() {
		for {
			if _, err := q.Reap(context.Background()); err != nil && !q.closed() {
				q.log.Warn("the queue's reaper failed; it tries again", "queue", q.names.queue, "error", err)
			}
			q.sweep(context.Background(), keepRemains)
			wait := time.NewTimer(mean/2 + rand.N(mean))
			select {
			case <-wait.C:
			case <-q.life.Done():
				wait.Stop()
				return
			}
		}
	})
}

// Reap takes back every lease that has expired: the item is ready again, and the
// next claim finds out whether it may still run. It also undoes the calls of
// enqueuers that died in the middle. The reaper calls it by itself once the
// first claim was made; it returns how many leases it took.
func (q *Queue) Reap(ctx context.Context) (int, error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail("reap", err)
	}
	due, torn := q.overdue()
	var n atomic.Int64
	errs := make([]error, len(due))
	each(len(due), func(i int) {
		_, err := q.change(ctx, due[i].ID, takeBack)
		switch {
		case err == nil:
			n.Add(1)
		case !errors.Is(err, errUnchanged) && !errors.Is(err, pipeline.ErrNotFound):
			errs[i] = err
		}
	})
	for _, name := range torn {
		var refused conflict
		if err := q.decide(ctx, name, false); err != nil && !errors.As(err, &refused) {
			errs = append(errs, err)
		}
	}
	return int(n.Load()), q.fail("reap", errors.Join(errs...))
}

// graceOfTorn is how old a call is when the reaper undoes it though nobody waits
// for what it has taken.
const graceOfTorn = time.Minute

// overdue returns the items whose lease has expired and the calls that were never
// decided.
func (q *Queue) overdue() (due []*item, torn []string) {
	r := q.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	now := q.clock.now()
	for x := range r.leased {
		if x.st.LeaseUntil <= now {
			due = append(due, x)
		}
	}
	for name, b := range r.batches {
		if !b.decided && b.seen > 0 && now-b.seen > graceOfTorn.Milliseconds() {
			torn = append(torn, name)
		}
	}
	return due, torn
}

func takeBack(x *item, now int64) (stateRecord, *pipeline.Event, error) {
	if x.st.State != pipeline.StateLeased || x.st.LeaseUntil > now {
		return stateRecord{}, nil, errUnchanged
	}
	next := x.st
	next.State, next.LeaseUntil, next.NotBefore, next.Owner, next.Expired = pipeline.StateReady, 0, 0, "", true
	return next, &pipeline.Event{What: "expired", Attempt: next.Attempts, Code: "lease-expired",
		Error: "the lease expired without an answer from " + x.st.Owner}, nil
}

// keepRemains is how long tombstones stay, and messages that nothing refers to if
// whoever left them did not delete them. A process that was cut off from the
// server for longer may not know that an item was dropped.
const keepRemains = 24 * time.Hour

// sweep deletes what nothing refers to any more, if it is older than this. A
// tombstone goes after what it buries, and never before its time: other processes
// must have read it, or find it with a write that comes late. Nothing depends on when, or whether, this is done.
func (q *Queue) sweep(ctx context.Context, age time.Duration) {
	remains, tombs := q.leftovers(age)
	errs := make([]error, len(remains))
	each(len(remains), func(i int) { errs[i] = q.remove(ctx, remains[i].seq) })
	q.replica.mu.Lock()
	for i, m := range remains {
		if errs[i] == nil && q.replica.remains[m.subject].seq == m.seq {
			delete(q.replica.remains, m.subject)
		}
	}
	q.replica.mu.Unlock()
	for seq, t := range tombs {
		if q.remove(ctx, t.item) == nil && q.remove(ctx, seq) == nil {
			q.replica.mu.Lock()
			delete(q.replica.tombs, seq)
			q.replica.mu.Unlock()
		}
	}
}

// leftovers never has the last message of the stream, which tells a reader when
// it has read everything.
func (q *Queue) leftovers(age time.Duration) (remains []remain, tombs map[uint64]tomb) {
	r := q.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.remains {
		if m.seq < r.applied && time.Since(m.since) >= age {
			remains = append(remains, m)
		}
	}
	tombs = map[uint64]tomb{}
	for seq, t := range r.tombs {
		if seq < r.applied && time.Since(t.since) >= keepRemains {
			tombs[seq] = t
		}
	}
	return remains, tombs
}
