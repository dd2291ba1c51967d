package feed_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// numbered returns n items that are numbered in their priority.
func numbered(n int) *list {
	src := &list{}
	for i := range n {
		src.rest = append(src.rest, item(fmt.Sprint(i), i))
	}
	return src
}

// TestQuickFlightsKeepOneCarrier: while flights are over in no time only one
// carrier works; as soon as one takes long, all of them do.
func TestQuickFlightsKeepOneCarrier(t *testing.T) {
	const carriers, quick, slow = 8, 2000, 16
	synctest.Test(t, func(t *testing.T) {
		q := newFeed(carriers, numbered(quick+slow), nil)
		var mu sync.Mutex
		workers, seen, untimed := map[int]bool{}, map[string]int{}, 0
		began := time.Now()
		var wg sync.WaitGroup
		for c := range carriers {
			wg.Go(func() {
				for f := q.Next(c); f != nil; f = q.Next(c) {
					if f.Item.Priority >= quick {
						time.Sleep(time.Minute)
					}
					runtime.Gosched() // whoever was woken may run
					mu.Lock()
					seen[f.Item.ID]++
					if n := f.Item.Priority; n > quick/2 && n < quick {
						workers[c] = true
						if f.Untimed {
							untimed++
						}
					}
					mu.Unlock()
					q.End(f, f, false)
				}
			})
		}
		wg.Wait()
		if len(workers) != 1 {
			t.Errorf("%d carriers worked on quick flights, want 1", len(workers))
		}
		if untimed < quick/2*9/10 {
			t.Errorf("%d of %d quick flights were not timed, want nearly all", untimed, quick/2)
		}
		// 16 slow ones by 8 carriers, and at most a stall before each row.
		if took := time.Since(began); took < 2*time.Minute || took > 2*time.Minute+10*time.Millisecond {
			t.Errorf("%d slow flights took %v with %d carriers, want two minutes", slow, took, carriers)
		}
		if len(seen) != quick+slow {
			t.Errorf("%d items came through, want %d", len(seen), quick+slow)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("item %s came %d times", id, n)
			}
		}
	})
}

// TestStopTakesTheBatchBack: what the worker has claimed and not taken is given
// back by whoever stops the feed, at whatever place of the batch.
func TestStopTakesTheBatchBack(t *testing.T) {
	for taken := 1000; taken < 1010; taken++ {
		src := numbered(4096)
		given := 0
		q := newFeedGivingBack(8, src, func(q *feed.Feed, f *sched.Flight) {
			given++
			q.End(f, nil, true)
		})
		take(q, 0, taken)
		q.Stop()
		if next := q.Next(0); next != nil {
			t.Errorf("flight %s after the stop", next.Item.ID)
		}
		if claimed := 4096 - len(src.rest); taken+given != claimed {
			t.Errorf("%d claimed, of them %d taken and %d given back", claimed, taken, given)
		}
		if q.InFlight() != 0 {
			t.Errorf("%d still in flight", q.InFlight())
		}
	}
}

func newFeedGivingBack(carriers int, src pipeline.Source, give func(*feed.Feed, *sched.Flight)) (q *feed.Feed) {
	q = feed.New(context.Background(), feed.Config{Carriers: carriers, Source: src, UntilEmpty: true,
		Poll: feed.DefaultPoll, New: func() any { return nil }, Reset: func(*sched.Flight) {},
		GiveBack: func(f *sched.Flight) { give(q, f) }})
	return q
}
