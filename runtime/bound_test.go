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

// stuck is a queue that takes no writes; deaf also ignores its context.
type stuck struct {
	*queue
	after time.Time // from when on
	deaf  bool
}

func (s *stuck) hang(ctx context.Context) error {
	if time.Now().Before(s.after) {
		return nil
	}
	if s.deaf {
		time.Sleep(time.Hour)
		return errors.New("too late")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Ack(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	if err := s.hang(ctx); err != nil {
		return err
	}
	return s.queue.Ack(ctx, it, o)
}

func (s *stuck) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	if err := s.hang(ctx); err != nil {
		return err
	}
	return s.queue.Nack(ctx, it, r)
}

// TestDrainBoundsQueueWrites: a queue that hangs holds the end up no longer than
// a stage that does.
func TestDrainBoundsQueueWrites(t *testing.T) {
	const drain, grace = 2 * time.Second, time.Second
	stages := map[string]fn{
		"at an acknowledgement": func(context.Context, *pipeline.Item) error { time.Sleep(10 * time.Second); return nil },
		"at a give-back":        sleepy(time.Hour),
		"behind a deaf stage":   func(context.Context, *pipeline.Item) error { time.Sleep(24 * time.Hour); return nil },
	}
	for name, work := range stages {
		for _, deaf := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deaf %v", name, deaf), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := &stuck{queue: newQueue(t, 40), after: time.Now().Add(9 * time.Second), deaf: deaf}
					// Half of the claimed items wait for their key when the feed is stopped.
					p := plan(20, source(q), with[pipeline.Distributor]("spread", pairs{}), stage("a", work))
					ctx, cancel := context.WithCancel(context.Background())
					time.AfterFunc(10*time.Second, cancel)
					began := time.Now()
					s, err := runtime.Run(ctx, p, runtime.Options{Log: quiet(), Drain: drain, Grace: grace})
					// The bound, the grace, and a grace more for what was left behind.
					if took := time.Since(began); took > 10*time.Second+drain+2*grace {
						t.Errorf("it took %v to end", took)
					}
					var unsettled *runtime.UnsettledError
					if !errors.Is(err, runtime.ErrInterrupted) || !deaf && (!errors.As(err, &unsettled) || s.Unsettled != 20) {
						t.Errorf("%d unsettled of 20, error %v", s.Unsettled, err)
					}
					cancel()
					time.Sleep(48 * time.Hour) // who was left behind ends
				})
			})
		}
	}
}

// pairs gives every two items one key.
type pairs struct{}

func (pairs) Lanes() int       { return 1 }
func (pairs) ByPriority() bool { return false }
func (pairs) Place(it *pipeline.Item, _ []int) (pipeline.Placement, error) {
	var n int
	fmt.Sscanf(it.ID, "i%d", &n)
	return pipeline.Placement{Key: fmt.Sprint("k", n/2)}, nil
}

// TestAbandonedItemsGoBackSideBySide: a slow queue is not asked for one item
// after the other.
func TestAbandonedItemsGoBackSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 64)
		slow := &slowNack{q, 500 * time.Millisecond}
		p := plan(64, source(slow), stage("deaf", func(context.Context, *pipeline.Item) error { time.Sleep(time.Hour); return nil }))
		p.Run.Drain = pipeline.Duration(time.Second)
		s, took, err := interrupted(p, time.Second)
		var abandoned *runtime.AbandonedError
		if !errors.As(err, &abandoned) || took > 4*time.Second || s.Refunded+s.Unsettled != 64 || s.Refunded < 16 {
			t.Errorf("%d given back, %d not, in %v: %v", s.Refunded, s.Unsettled, took, err)
		}
		time.Sleep(2 * time.Hour)
	})
}

type slowNack struct {
	*queue
	takes time.Duration
}

func (s *slowNack) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	time.Sleep(s.takes)
	return s.queue.Nack(ctx, it, r)
}

// TestAbandonedStageIsNotClosed: what still runs keeps what it works with.
func TestAbandonedStageIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		deaf, fine := &deafStarter{}, &starter{}
		p := plan(1, source(q), with("deaf", deaf), with("fine", fine))
		p.Run.Drain = pipeline.Duration(time.Second)
		_, _, err := interrupted(p, time.Second)
		var abandoned *runtime.AbandonedError
		if !errors.As(err, &abandoned) || deaf.closed != 0 || fine.closed != 1 {
			t.Errorf("the stage that still runs was closed %d times, the other %d: %v", deaf.closed, fine.closed, err)
		}
		time.Sleep(2 * time.Hour)
	})
}

type deafStarter struct{ starter }

func (*deafStarter) Process(context.Context, *pipeline.Item) error { time.Sleep(time.Hour); return nil }

// TestAbandonedWitnessIsNotClosed: nor is one that hangs in Commit.
func TestAbandonedWitnessIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		w := &deafWitness{}
		p := plan(1, source(q), stage("a", func(context.Context, *pipeline.Item) error { return pipeline.Fail("bad", "bad") }), with("witness", w))
		p.Run.Drain = pipeline.Duration(time.Second)
		_, _, err := interrupted(p, time.Second)
		var abandoned *runtime.AbandonedError
		if !errors.As(err, &abandoned) || fmt.Sprint(abandoned.Stages) != "[witness]" || w.closed != 0 {
			t.Errorf("closed %d times: %v", w.closed, err)
		}
		time.Sleep(2 * time.Hour)
	})
}

type deafWitness struct{ starter }

func (*deafWitness) Commit(context.Context, *pipeline.Item, pipeline.Outcome) error {
	time.Sleep(time.Hour)
	return nil
}

// TestUnwritableEndEndsARunWithoutLeases: nobody would ever claim the item
// again, so waiting for it is in vain.
func TestUnwritableEndEndsARunWithoutLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 3)
		q.ackErr = func(it *pipeline.Item) error {
			if it.ID == "i001" {
				return errors.New("database is gone")
			}
			return nil
		}
		began := time.Now()
		s, err := runtime.Run(context.Background(), plan(1, source(q), stage("a", nop)), runtime.Options{UntilEmpty: true, Log: quiet()})
		var unsettled *runtime.UnsettledError
		if !errors.As(err, &unsettled) || unsettled.Items != 1 || s.Unsettled != 1 || s.OK() || errors.Is(err, runtime.ErrInterrupted) {
			t.Errorf("stats %+v, error %v", s, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
