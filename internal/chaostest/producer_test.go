package chaostest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// producer fills a queue. What it is not told of it enqueues again: the
// idempotency keys make that harmless.
type producer struct {
	items []pipeline.NewItem
	// The queue has at least as many items as confirmed and at most as many as tried.
	tried, confirmed atomic.Int64
	again            int // calls that had to be repeated
}

// plan makes the items of a round: of so many keys and, one in eight, of none;
// of all priorities; some with a wait, some that may be tried but twice.
func plan(rng *rand.Rand, now time.Time, n, keys int) []pipeline.NewItem {
	items := make([]pipeline.NewItem, n)
	for i := range items {
		id := fmt.Sprintf("i%06d", i)
		items[i] = pipeline.NewItem{ID: id, IdempotencyKey: id, Priority: rng.IntN(10)}
		if rng.IntN(8) > 0 {
			items[i].Key = fmt.Sprint("k", rng.IntN(keys))
		}
		if rng.IntN(20) == 0 {
			items[i].NotBefore = now.Add(time.Duration(rng.Int64N(int64(10 * time.Second))))
		}
		if rng.IntN(25) == 0 {
			items[i].MaxAttempts = 2
		}
	}
	return items
}

// run enqueues the items in their order, in calls of 1 to 20, so that never more
// than most of them wait, until all are or the storm is over.
func (p *producer) run(ctx, storm context.Context, q pipeline.Queue, most int64, ended func() int64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for next := 0; next < len(p.items) && storm.Err() == nil; {
		due := min(len(p.items), next+20, int(ended()+most))
		if due <= next {
			select {
			case <-tick.C:
			case <-storm.Done():
			}
			continue
		}
		p.tried.Store(int64(due))
		if err := p.enqueue(ctx, storm, q, p.items[next:due]); err != nil {
			return err
		}
		p.confirmed.Store(int64(due))
		next = due
	}
	return ctx.Err()
}

// calmEnough is how long a call may be repeated after the storm.
const calmEnough = 30 * time.Second

// enqueue repeats the call until it is confirmed. It gives up when nothing has been
// in the way for long enough.
func (p *producer) enqueue(ctx, storm context.Context, q pipeline.Queue, items []pipeline.NewItem) error {
	for calm := (time.Time{}); ; {
		call, stop := context.WithTimeout(ctx, 10*time.Second)
		answers, err := q.Enqueue(call, items)
		stop()
		if err == nil {
			for i, a := range answers {
				if a.ID != items[i].ID {
					return fmt.Errorf("twice: the enqueue of %s became %s", items[i].ID, a.ID)
				}
			}
			return nil
		}
		if kind := pipeline.KindOf(err); ctx.Err() != nil || kind == pipeline.Permanent && call.Err() == nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		if storm.Err() != nil && calm.IsZero() {
			calm = time.Now()
		}
		if !calm.IsZero() && time.Since(calm) > calmEnough {
			return fmt.Errorf("stuck: no enqueue is confirmed, with nobody in the way for %v: %w", time.Since(calm).Round(time.Second), err)
		}
		p.again++
		pause := time.NewTimer(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}
