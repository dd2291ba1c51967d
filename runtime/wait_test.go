package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// TestWaitingItemsGoBackUnharmed: an item that waits when the drain's bound has
// passed, or the run is aborted, goes back whole, whatever it waits for and
// whatever becomes of items that fail.
func TestWaitingItemsGoBackUnharmed(t *testing.T) {
	const carriers = 4
	busy := sleepy(time.Hour)
	deaf := func(context.Context, *pipeline.Item) error { time.Sleep(3500 * time.Millisecond); return nil }
	single := func(sp *pipeline.StagePlan) { sp.Concurrency = 1 }
	plans := map[string]func(q *queue, o func(*pipeline.StagePlan)) *pipeline.Plan{
		"for a permit": func(q *queue, o func(*pipeline.StagePlan)) *pipeline.Plan {
			return plan(carriers, source(q), stage("a", busy, o, single))
		},
		"for their turn": func(q *queue, o func(*pipeline.StagePlan)) *pipeline.Plan {
			return plan(carriers, source(q), stage("a", func(ctx context.Context, it *pipeline.Item) error {
				if it.ID == "i000" {
					return busy(ctx, it)
				}
				return nil
			}), with("out", &ordered{nop}, o))
		},
		"between two stages": func(q *queue, o func(*pipeline.StagePlan)) *pipeline.Plan {
			return plan(carriers, source(q), stage("a", deaf), stage("b", nop, o))
		},
		"for another try": func(q *queue, o func(*pipeline.StagePlan)) *pipeline.Plan {
			return plan(carriers, source(q), stage("a", func(context.Context, *pipeline.Item) error {
				return &pipeline.Error{Kind: pipeline.Retry, Code: "flaky", After: 9 * time.Second}
			}, o))
		},
	}
	for name, make := range plans {
		for _, policy := range []pipeline.OnError{pipeline.OnErrorRetry, pipeline.OnErrorDead, pipeline.OnErrorDrop, pipeline.OnErrorStop} {
			if name == "for another try" && policy != pipeline.OnErrorRetry {
				continue // there is none
			}
			for _, abort := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, abort %v", name, policy, abort), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						q := newQueue(t, carriers)
						q.lease = time.Minute
						p := make(q, onError(policy))
						o := runtime.Options{Log: quiet(), Drain: 2 * time.Second}
						ctx, cancel := context.WithCancel(context.Background())
						defer cancel()
						if abort {
							o.Drain = time.Hour
							o.Observer.Running = func(r *runtime.Running) { time.AfterFunc(3*time.Second, r.Abort) }
						} else {
							time.AfterFunc(time.Second, cancel)
						}
						s, err := runtime.Run(ctx, p, o)
						if !errors.Is(err, runtime.ErrInterrupted) || s.Total != 0 || s.Refunded != carriers {
							t.Errorf("error %v, %d ended, %d given back, want all %d", err, s.Total, s.Refunded, carriers)
						}
						for _, r := range q.rows {
							if r.state != pipeline.StateReady || r.attempts != 0 {
								t.Errorf("%s is %s after %d attempts (%v), want ready and none", r.item.ID, r.state, r.attempts, r.outcome.Cause)
							}
						}
					})
				})
			}
		}
	}
}

// TestDeadlineBetweenStagesEndsTheItem: not only a stage finds out that the time
// is over.
func TestDeadlineBetweenStagesEndsTheItem(t *testing.T) {
	slow := func(context.Context, *pipeline.Item) error { time.Sleep(10 * time.Second); return nil }
	for name, change := range map[string]func(*pipeline.StagePlan){
		"before a stage":   func(*pipeline.StagePlan) {},
		"before a permit":  func(sp *pipeline.StagePlan) { sp.Concurrency = 1 },
		"before a skipped": when(t, "false"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 1)
				p := plan(2, source(q), stage("a", slow), stage("b", nop, change))
				p.Run.Deadline = pipeline.Duration(5 * time.Second)
				s := run(t, p)
				r := q.row("i000")
				var e *pipeline.Error
				if s.Dead != 1 || r.attempts != 1 || !errors.As(r.outcome.Cause, &e) || e.Code != "deadline" || e.Stage != "b" || e.Item != "i000" {
					t.Errorf("%v after %d attempts", r.outcome.Cause, r.attempts)
				}
			})
		})
	}
}
