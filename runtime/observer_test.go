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

// TestObserverPanicsCostNothing: no item, no probe of a breaker, no process.
func TestObserverPanicsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 20)
		q.lease = 10 * time.Second
		calls := 0
		work := func(_ context.Context, it *pipeline.Item) error {
			calls++
			switch {
			case calls%5 == 1:
				return &pipeline.Error{Kind: pipeline.Unavailable, Code: "down", Err: errors.New("down")}
			case calls%5 == 3:
				return pipeline.Again("flaky", "flaky")
			case it.ID == "i007" && it.Attempt == 1:
				return pipeline.ErrLeaseLost
			}
			return nil
		}
		told := map[string]int{}
		tell := func(what string) { told[what]++; panic(what) }
		o := runtime.Options{UntilEmpty: true, Log: quiet(), Observer: runtime.Observer{
			Running:   func(*runtime.Running) { tell("running") },
			Claimed:   func(int) { tell("claimed") },
			Started:   func(*pipeline.Item) { tell("started") },
			StageDone: func(*pipeline.Item, string, time.Duration, error) { tell("stage") },
			Retried:   func(*pipeline.Item, error, time.Duration, bool) { tell("retried") },
			Ended:     func(*pipeline.Item, pipeline.Outcome, time.Duration) { tell("ended") },
			Released:  func(*pipeline.Item, pipeline.Release) { tell("released") },
			Lost:      func(*pipeline.Item) { tell("lost") },
			Worker:    func(runtime.WorkerEvent) { tell("worker") },
		}}
		s, err := runtime.Run(context.Background(), plan(1, source(q), stage("a", work, func(sp *pipeline.StagePlan) {
			sp.Breaker = &pipeline.BreakerConfig{Failures: 1, Cooldown: pipeline.Duration(time.Second)}
		})), o)
		if err != nil || s.Successful != 20 || s.Dead != 0 {
			t.Errorf("stats %+v, error %v", s, err)
		}
		for _, what := range []string{"running", "claimed", "started", "stage", "retried", "ended", "released", "lost", "worker"} {
			if told[what] == 0 {
				t.Errorf("nobody was told: %s", what)
			}
		}
	})
}
