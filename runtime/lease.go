package runtime

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// codeLeaseLost is the code of items that are somebody else's.
const codeLeaseLost = "lease-lost"

// heartbeat renews the leases of all items in flight every third of the lease,
// until stop is closed.
func (e *engine) heartbeat(stop <-chan struct{}) {
	tick := time.NewTicker(max(time.Millisecond, e.lease/3))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			e.renew()
		}
	}
}

// renew extends all leases once. An item whose lease is lost is somebody else's
// from now on: its context ends, and nothing is written about it.
func (e *engine) renew() {
	var items []*pipeline.Item
	e.feed.Held(func(f *sched.Flight) {
		if !own(f).over() { // else its lease may as well end
			items = append(items, f.Item)
		}
	})
	if len(items) == 0 {
		return
	}
	asked := time.Now()
	lost, err := e.renewItems(items)
	if err != nil {
		e.log.Warn("leases could not be renewed", "items", len(items), "error", e.clean(err))
	}
	renewed := make(map[*pipeline.Item]bool, len(items))
	for _, it := range items {
		renewed[it] = err == nil
	}
	gone := make(map[*pipeline.Item]bool, len(lost))
	for _, it := range lost {
		gone[it] = true
	}
	e.feed.Held(func(f *sched.Flight) {
		switch j := own(f); {
		case gone[f.Item]:
			j.end(pipeline.ErrLeaseLost)
		case renewed[f.Item]:
			j.mu.Lock()
			j.renewed = asked
			j.mu.Unlock()
		}
	})
}

// expire ends the context of each item as its lease ends, until stop is closed.
// It does not depend on the heartbeat, which may hang in the queue.
func (e *engine) expire(stop <-chan struct{}) {
	for {
		t := time.NewTimer(time.Until(e.expired(time.Now())))
		select {
		case <-stop:
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// expired ends what has no lease any more and returns when to look again: no
// lease that is held then, or is being claimed now, ends before.
func (e *engine) expired(now time.Time) time.Time {
	next := now.Add(e.lease)
	if claim := e.base.Add(time.Duration(e.asked.Load()) + e.lease); claim.After(now) && claim.Before(next) {
		next = claim
	}
	e.feed.Held(func(f *sched.Flight) {
		j := own(f)
		if end := j.leased().Add(e.lease); !end.After(now) {
			j.end(pipeline.ErrLeaseLost)
		} else if end.Before(next) {
			next = end
		}
	})
	return next
}

// clockedSource is a source that notes when claims begin: a lease may begin as early.
type clockedSource struct {
	pipeline.Source
	e *engine
}

// Claim implements pipeline.Source.
func (c clockedSource) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	c.e.asked.Store(int64(c.e.now()))
	return c.Source.Claim(ctx, most)
}

// over reports that the item is not ours any more.
func (j *journey) over() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cause != nil
}

func (j *journey) leased() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.renewed
}

func (e *engine) renewItems(items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	defer sched.Catch(&err)
	ctx, stop := context.WithTimeout(e.books, e.lease/3)
	defer stop()
	return e.source.Renew(ctx, items)
}
