package runtime_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// sleepy works for d and obeys its context.
func sleepy(d time.Duration) fn {
	return func(ctx context.Context, _ *pipeline.Item) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// interrupted runs a plan whose context ends after a while.
func interrupted(p *pipeline.Plan, after time.Duration) (*runtime.Stats, time.Duration, error) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(after, cancel)
	began := time.Now()
	s, err := runtime.Run(ctx, p, runtime.Options{UntilEmpty: true, Log: quiet(), Grace: time.Second})
	return s, time.Since(began), err
}

func TestDrainLetsItemsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 100)
		q.lease = 30 * time.Second
		s, took, err := interrupted(plan(4, source(q), stage("a", sleepy(10*time.Second))), 15*time.Second)
		if !errors.Is(err, runtime.ErrInterrupted) {
			t.Errorf("error %v", err)
		}
		if s.Successful != 8 || q.count(pipeline.StateDone) != 8 || q.count(pipeline.StateLeased) != 0 || q.count(pipeline.StateReady) != 92 {
			t.Errorf("%d successful, %d leased", s.Successful, q.count(pipeline.StateLeased))
		}
		if took != 20*time.Second {
			t.Errorf("left after %v, want 20s: when the last item in flight ended", took)
		}
	})
}

func TestDrainBoundGivesBackWithoutLosingAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 10)
		q.lease = 30 * time.Second
		p := plan(4, source(q), stage("a", sleepy(time.Hour)))
		p.Run.Drain = pipeline.Duration(3 * time.Second)
		s, took, err := interrupted(p, 10*time.Second)
		if !errors.Is(err, runtime.ErrInterrupted) || took != 13*time.Second {
			t.Errorf("left after %v with %v", took, err)
		}
		if s.Total != 0 || s.Refunded != 4 || q.count(pipeline.StateReady) != 10 {
			t.Errorf("stats %+v, %d ready", s, q.count(pipeline.StateReady))
		}
		for _, r := range q.rows {
			if r.attempts != 0 {
				t.Errorf("%s lost %d attempts", r.item.ID, r.attempts)
			}
		}
	})
}

func TestStageThatIgnoresItsContextIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 3)
		p := plan(1, source(q), stage("deaf", func(context.Context, *pipeline.Item) error {
			time.Sleep(time.Hour)
			return nil
		}))
		p.Run.Drain = pipeline.Duration(2 * time.Second)
		_, took, err := interrupted(p, 10*time.Second)
		var abandoned *runtime.AbandonedError
		if !errors.As(err, &abandoned) || len(abandoned.Stages) != 1 || abandoned.Stages[0] != "deaf" {
			t.Errorf("error %v", err)
		}
		if took != 13*time.Second {
			t.Errorf("left after %v, want drain 2s and grace 1s after 10s", took)
		}
		if q.count(pipeline.StateReady) != 3 {
			t.Errorf("%d items are ready, want all 3", q.count(pipeline.StateReady))
		}
		time.Sleep(2 * time.Hour) // the stage returns; its carrier must not write (the queue would complain)
		if q.count(pipeline.StateReady) != 3 {
			t.Error("an abandoned carrier wrote to the queue")
		}
	})
}

func TestAbortCutsTheDrainShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 10)
		p := plan(4, source(q), stage("a", sleepy(time.Hour)))
		began := time.Now()
		s, err := runtime.Run(context.Background(), p, runtime.Options{Log: quiet(), Observer: runtime.Observer{
			Running: func(r *runtime.Running) { time.AfterFunc(10*time.Second, r.Abort) }}})
		if !errors.Is(err, runtime.ErrInterrupted) || time.Since(began) != 10*time.Second {
			t.Errorf("left after %v with %v", time.Since(began), err)
		}
		if s.Refunded != 4 || q.count(pipeline.StateReady) != 10 {
			t.Errorf("stats %+v, %d ready", s, q.count(pipeline.StateReady))
		}
	})
}

func TestLeasesAreRenewedWhileItemsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 4)
		q.lease = 3 * time.Second
		s := run(t, plan(2, source(q), stage("a", sleepy(time.Minute))))
		if s.Successful != 4 || s.LeasesLost != 0 || q.renewed < 100 {
			t.Errorf("stats %+v after %d renewals", s, q.renewed)
		}
	})
}

func TestLostLeaseCancelsTheItemAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 2)
		q.lease = 3 * time.Second
		q.renew = func(it *pipeline.Item) bool { return it.ID != "i000" || it.Token > 1 }
		var cause atomic.Value
		s := run(t, plan(2, source(q), stage("a", func(ctx context.Context, it *pipeline.Item) error {
			if it.ID == "i000" && it.Token == 1 {
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
					return errors.New("20 leases later the item still runs")
				}
				cause.Store(context.Cause(ctx))
				return ctx.Err()
			}
			return nil
		})))
		if got, _ := cause.Load().(error); !errors.Is(got, pipeline.ErrLeaseLost) {
			t.Errorf("the item's context ended with %v", got)
		}
		if s.LeasesLost != 1 || s.Successful != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestLateAcknowledgementIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		q.ackErr = func(it *pipeline.Item) error {
			if it.Token == 1 {
				q.rows[0].state = pipeline.StateReady // taken away
				q.rows[0].token++
				return pipeline.ErrLeaseLost
			}
			return nil
		}
		s := run(t, plan(1, source(q), stage("a", nop)))
		if s.LeasesLost != 1 || s.Successful != 1 || s.Total != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestClaimFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 5)
		n := 0
		q.claims = func() error {
			if n++; n < 20 {
				return errors.New("connection refused")
			}
			return nil
		}
		began := time.Now()
		if s := run(t, plan(2, source(q), stage("a", nop))); s.Successful != 5 {
			t.Errorf("stats %+v", s)
		}
		if took := time.Since(began); took < 10*time.Second || took > time.Minute {
			t.Errorf("20 claims took %v: the waits do not grow to 2 s", took)
		}
	})
	q := newQueue(t, 1)
	q.claims = func() error { return pipeline.ErrNoQueue }
	_, err := runtime.Run(context.Background(), plan(2, source(q), stage("a", nop)), runtime.Options{Log: quiet()})
	if !errors.Is(err, pipeline.ErrNoQueue) {
		t.Errorf("error %v, want that there is no queue", err)
	}
}
