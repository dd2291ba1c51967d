package feed

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// one is a source of a single item; it is never empty.
type one struct {
	pipeline.Source
	claimed bool
}

func (o *one) Claim(context.Context, int) ([]*pipeline.Item, error) {
	if o.claimed {
		return nil, nil
	}
	o.claimed = true
	return []*pipeline.Item{{ID: "a"}}, nil
}

func (o *one) Pending(context.Context) (int64, time.Time, error) { return 1, time.Time{}, nil }

// TestCarrierIsWokenOnce: the carrier that watches the clock may be woken for
// work and, before it has run, for a new time. If that counted twice, no batch
// would ever be closed for want of company again.
func TestCarrierIsWokenOnce(t *testing.T) {
	for name, again := range map[string]func(q *Feed){
		"pause": func(q *Feed) { q.mu.Unlock(); q.Pause(time.Hour); q.mu.Lock() },
		"rest":  func(q *Feed) { q.rest(time.Hour) },
		"all":   func(q *Feed) { q.wakeAll() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet := new(sched.Quiet)
				b := sched.NewCollector(9, time.Hour, quiet, func([]*sched.Flight) []error { return nil })
				src := &one{}
				q := New(context.Background(), Config{Carriers: 2, Source: src, Poll: DefaultPoll, Quiet: quiet,
					New: func() any { return nil }, Reset: func(*sched.Flight) {}, GiveBack: func(*sched.Flight) {}})
				f := q.Next(0)
				go q.Next(1) // nothing for it: it watches the clock
				synctest.Wait()
				q.mu.Lock()
				q.wakeOne() // it cannot run before the lock is free, or finds nothing new
				again(q)
				q.mu.Unlock()
				synctest.Wait()
				began := time.Now()
				if err := b.Do(context.Background(), f); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("the batch was closed after %v although nobody could join it", took)
				}
				q.Stop()
				synctest.Wait()
			})
		})
	}
}
