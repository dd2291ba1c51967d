package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// lame is a queue whose claims are slow and whose renewals hang.
type lame struct {
	*queue
	claim time.Duration
	dies  time.Time // renewals hang from then on
	deaf  bool      // and do not obey their context
}

func (l *lame) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	items, err := l.queue.Claim(ctx, most) // the lease begins here, at the latest
	time.Sleep(l.claim)
	return items, err
}

func (l *lame) Renew(ctx context.Context, items []*pipeline.Item) ([]*pipeline.Item, error) {
	if time.Now().Before(l.dies) {
		return l.queue.Renew(ctx, items)
	}
	if l.deaf {
		time.Sleep(10 * time.Minute)
		return nil, errors.New("too late")
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestDeadHeartbeatEndsItemsWithTheirLease: not after it, however slow the claim
// was and however long a renewal hangs.
func TestDeadHeartbeatEndsItemsWithTheirLease(t *testing.T) {
	const lease = 30 * time.Second
	tests := []struct {
		name  string
		claim time.Duration
		dies  time.Duration
		deaf  bool
		want  time.Duration // after the start
	}{
		{"at once", 0, 0, false, lease},
		{"at once, deaf", 0, 0, true, lease},
		{"after a slow claim", 7 * time.Second, 0, true, lease},
		{"after two renewals", 0, 25 * time.Second, true, 20*time.Second + lease},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				q := &lame{newQueue(t, 1), tt.claim, began.Add(tt.dies), tt.deaf}
				q.lease = lease
				var ended time.Duration
				var cause error
				ctx, stop := context.WithTimeout(context.Background(), tt.want+5*time.Second)
				defer stop()
				s, err := runtime.Run(ctx, plan(1, source(q), stage("a", func(ctx context.Context, it *pipeline.Item) error {
					<-ctx.Done()
					if ended == 0 {
						ended, cause = time.Since(began), context.Cause(ctx)
					}
					return ctx.Err()
				})), runtime.Options{Log: quiet(), Drain: time.Second})
				if ended != tt.want || !errors.Is(cause, pipeline.ErrLeaseLost) || s.LeasesLost != 1 {
					t.Errorf("the item's context ended after %v with %v, want %v; %d lost, error %v", ended, cause, tt.want, s.LeasesLost, err)
				}
				time.Sleep(time.Hour) // the hanging renewal ends
			})
		})
	}
}

// TestStageThatFindsTheLeaseLost: its word is as good as the queue's, and is no
// failure of the stage.
func TestStageThatFindsTheLeaseLost(t *testing.T) {
	for _, policy := range []pipeline.OnError{pipeline.OnErrorRetry, pipeline.OnErrorDead, pipeline.OnErrorDrop, pipeline.OnErrorStop} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 3)
			q.lease = 10 * time.Second
			calls, breaks := map[string]int{}, 0
			p := plan(1, source(q), stage("witness", func(_ context.Context, it *pipeline.Item) error {
				if calls[it.ID]++; calls[it.ID] == 1 {
					return pipeline.Again("witness", "a newer receipt: %w", pipeline.ErrLeaseLost)
				}
				return nil
			}, onError(policy), func(sp *pipeline.StagePlan) {
				sp.Breaker = &pipeline.BreakerConfig{Failures: 1, Cooldown: pipeline.Duration(time.Minute)}
			}))
			s, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet(),
				Observer: runtime.Observer{Worker: func(runtime.WorkerEvent) { breaks++ }}})
			if err != nil || s.LeasesLost != 3 || s.Successful != 3 || s.TotalRetries != 0 || breaks != 0 {
				t.Errorf("%s: stats %+v, %d breaker events, error %v", policy, s, breaks, err)
			}
		})
	}
}
