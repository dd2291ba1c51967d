package nats

import (
	"context"
	"errors"
	"math/rand/v2"
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
	taken, err := q.changeAll(ctx, due, takeBack)
	errs := []error{err}
	for _, name := range torn {
		var refused conflict
		if err := q.decide(ctx, batchRecord{Batch: name}); err != nil && !errors.As(err, &refused) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, q.settleMoves(ctx))
	return len(taken), q.fail("reap", errors.Join(errs...))
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
		if b.overdue(now, graceOfTorn) {
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
