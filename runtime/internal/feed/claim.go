package feed

import (
	"errors"
	"io"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// refill claims for the free carriers. The caller holds the lock; it is open
// while the source works.
func (q *Feed) refill() {
	want := min(claimMax, q.free())
	q.claiming = true
	q.tally.Begun++
	q.mu.Unlock()
	var start time.Time
	if q.Claimed != nil {
		start = time.Now()
	}
	items, err := q.claim(want)
	if len(items) > 0 && q.Claimed != nil {
		q.Claimed(items, start)
	}
	q.mu.Lock()
	q.claiming = false
	for _, it := range items {
		q.admit(it)
	}
	q.tally.Ended++
	q.tally.Items += int64(len(items))
	if len(items) > 0 {
		q.empties, q.failures = 0, 0
	}
	switch {
	case q.stopped:
		q.reject()
	case errors.Is(err, io.EOF):
		q.eof, q.due = true, false
		if len(q.held) == 0 {
			q.finish()
		}
		q.wakeAt = time.Now().Add(q.Poll.Idle)
	case q.over || q.ctx.Err() != nil:
		q.over = true
		q.wakeAll()
	case err != nil:
		q.failed(err)
	case len(items) == 0:
		q.empty()
	}
}

// claim calls the source, which is not trusted to return.
func (q *Feed) claim(want int) (items []*pipeline.Item, err error) {
	defer sched.Catch(&err)
	return q.Source.Claim(q.ctx, want)
}

// admit makes a flight of a claimed item and puts it into its lane.
func (q *Feed) admit(it *pipeline.Item) {
	f := q.flight(it)
	if q.Order != nil {
		f.Turn = sched.NewTurn(q.Order, q.seq, nil)
		q.seq++
	}
	q.hold(f)
	q.lanes.place(f)
}

// failed decides when to claim again after an error: later and later.
func (q *Feed) failed(err error) {
	if q.Failed != nil && q.Failed(err) {
		q.over = true
		q.wakeAll()
		return
	}
	q.failures++
	q.rest(max(q.Poll.Min, min(q.Poll.Idle, q.Poll.Min<<min(q.failures, 10))))
}

// empty decides when to claim again after nothing was ready, or that there is
// nothing more to come.
func (q *Feed) empty() {
	q.due = false
	q.claiming = true // Pending may be slow; nobody else is to ask meanwhile
	q.mu.Unlock()
	n, next, err := q.pending()
	q.mu.Lock()
	q.claiming = false
	if err != nil {
		q.failed(err)
		return
	}
	if q.UntilEmpty && n == 0 && len(q.held) == 0 {
		q.over = true
		q.wakeAll()
		return
	}
	if q.due { // something ended meanwhile
		return
	}
	limit := q.Poll.Idle
	if n > 0 || len(q.held) > 0 {
		limit = q.Poll.Busy
	}
	wait := jitter(min(limit, q.Poll.Min<<min(q.empties, 10)))
	q.empties++
	if d := time.Until(next); d > 0 {
		wait = min(limit, d) // no need to look before, no wish to look later
	}
	q.rest(wait)
}

func (q *Feed) pending() (n int64, next time.Time, err error) {
	defer sched.Catch(&err)
	return q.Source.Pending(q.ctx)
}

// rest sets the clock for the next claim.
func (q *Feed) rest(d time.Duration) {
	q.due = false
	q.wakeAt = time.Now().Add(d)
	if q.wakeAt.Before(q.paused) {
		q.wakeAt = q.paused
	}
	if s := q.sleeper; s != nil {
		q.wake(s) // to set its clock anew
	}
}
