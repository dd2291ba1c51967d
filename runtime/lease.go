package runtime

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

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

// renew extends all leases once. An item whose lease is lost, or could not be
// renewed for the whole of it, is somebody else's from now on: its context
// ends, and nothing is written about it.
func (e *engine) renew() {
	var items []*pipeline.Item
	e.feed.Held(func(f *sched.Flight) { items = append(items, f.Item) })
	if len(items) == 0 {
		return
	}
	asked := time.Now()
	lost, err := e.renewItems(items)
	if err != nil {
		e.log.Warn("leases could not be renewed", "items", len(items), "error", err)
	}
	gone := make(map[*pipeline.Item]bool, len(lost))
	for _, it := range lost {
		gone[it] = true
	}
	renewed := make(map[*pipeline.Item]bool, len(items))
	for _, it := range items {
		renewed[it] = err == nil && !gone[it]
	}
	e.feed.Held(func(f *sched.Flight) {
		j := own(f)
		if renewed[f.Item] {
			j.mu.Lock()
			j.renewed = asked
			j.mu.Unlock()
		} else if gone[f.Item] || asked.Sub(j.leased()) >= e.lease {
			j.end(pipeline.ErrLeaseLost)
		}
	})
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
