package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

func onError(o pipeline.OnError) func(*pipeline.StagePlan) {
	return func(sp *pipeline.StagePlan) { sp.OnError = o }
}

// TestKindDecides checks what becomes of an item for each kind of error and
// each on_error, and that no stage after a failed one ever sees it.
func TestKindDecides(t *testing.T) {
	retry := func(ctx context.Context, it *pipeline.Item) error { return pipeline.Again("flaky", "not now") }
	dead := func(ctx context.Context, it *pipeline.Item) error { return pipeline.Fail("bad", "never") }
	tests := []struct {
		name     string
		stage    fn
		onError  pipeline.OnError
		state    pipeline.ItemState
		result   pipeline.Result
		code     string
		attempts int
		calls    int64 // each claim is one call and at most two more in place
	}{
		{"success", nop, pipeline.OnErrorRetry, pipeline.StateDone, pipeline.Succeeded, "", 1, 1},
		{"retry", retry, pipeline.OnErrorRetry, pipeline.StateDead, pipeline.Dead, "flaky", 4, 12},
		{"retry, dead at once", retry, pipeline.OnErrorDead, pipeline.StateDead, pipeline.Dead, "flaky", 1, 1},
		{"retry, dropped", retry, pipeline.OnErrorDrop, pipeline.StateDone, pipeline.Dropped, "flaky", 1, 1},
		{"permanent", dead, pipeline.OnErrorRetry, pipeline.StateDead, pipeline.Dead, "bad", 1, 1},
		{"permanent, dropped", dead, pipeline.OnErrorDrop, pipeline.StateDone, pipeline.Dropped, "bad", 1, 1},
		{"skip", func(context.Context, *pipeline.Item) error { return pipeline.SkipItem("not wanted") },
			pipeline.OnErrorRetry, pipeline.StateDone, pipeline.Skipped, "skipped", 1, 1},
		{"panic", func(context.Context, *pipeline.Item) error { panic("oh") },
			pipeline.OnErrorRetry, pipeline.StateDead, pipeline.Dead, "panic", 1, 1},
		{"plain error", func(context.Context, *pipeline.Item) error { return errors.New("plain") },
			pipeline.OnErrorRetry, pipeline.StateDead, pipeline.Dead, "error", 4, 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 1)
				q.lease = 6 * time.Second
				var calls, after atomic.Int64
				first := func(ctx context.Context, it *pipeline.Item) error { calls.Add(1); return tt.stage(ctx, it) }
				p := plan(2, source(q), stage("first", first, onError(tt.onError)),
					stage("after", func(context.Context, *pipeline.Item) error { after.Add(1); return nil }))
				p.Run.Retry.Backoff = pipeline.Range{Min: pipeline.Duration(time.Millisecond), Max: pipeline.Duration(time.Second)}
				run(t, p)
				r := q.row("i000")
				if r.state != tt.state || r.outcome.Result != tt.result || pipeline.CodeOf(r.outcome.Cause) != tt.code {
					t.Errorf("ended %s %s (%v), want %s %s (%s)", r.state, r.outcome.Result, r.outcome.Cause, tt.state, tt.result, tt.code)
				}
				if r.attempts != tt.attempts || calls.Load() > tt.calls || calls.Load() < int64(tt.attempts) {
					t.Errorf("%d attempts and %d calls, want %d and %d at most", r.attempts, calls.Load(), tt.attempts, tt.calls)
				}
				if passed := after.Load() > 0; passed != (tt.result == pipeline.Succeeded) {
					t.Errorf("the stage after it saw the item: %v", passed)
				}
				var e *pipeline.Error
				if r.outcome.Cause != nil && (!errors.As(r.outcome.Cause, &e) || e.Stage != "first" || e.Item != "i000") {
					t.Errorf("the cause does not name stage and item: %#v", e)
				}
			})
		})
	}
}

// What must not be repeated at once is not: each claim is one call.
func TestNothingIsTriedInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 5)
		var calls atomic.Int64
		p := plan(2, source(q), stage("post", func(context.Context, *pipeline.Item) error {
			calls.Add(1)
			return pipeline.Again("flaky", "not now")
		}, func(sp *pipeline.StagePlan) {
			retry := pipeline.DefaultRun().Retry
			retry.InPlace = 0
			sp.Retry = &retry
		}))
		if s := run(t, p); s.Dead != 5 || calls.Load() != 20 {
			t.Errorf("%d calls for 5 items with 4 attempts each, %d dead", calls.Load(), s.Dead)
		}
	})
}

func TestPanicCostsOneItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 100)
		s := run(t, plan(2, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
			if strings.HasSuffix(it.ID, "3") {
				panic("three")
			}
			return nil
		}, func(sp *pipeline.StagePlan) { sp.Concurrency = 1 })))
		if s.Dead != 10 || s.Successful != 90 || s.Stages[0].Errors["panic"] != 10 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestStopGivesBackAndEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 10)
		stats, err := runtime.Run(context.Background(), plan(1, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
			if it.ID == "i003" {
				return pipeline.Fail("full", "disk full")
			}
			return nil
		}, onError(pipeline.OnErrorStop))), runtime.Options{UntilEmpty: true, Log: quiet()})
		var stop *runtime.StopError
		if !errors.As(err, &stop) || pipeline.CodeOf(err) != "full" || !strings.Contains(err.Error(), `run stopped: item "i003": `) {
			t.Errorf("error %v", err)
		}
		if s := stats.Stopped; s == nil || s.Item != "i003" || s.Stage != "a" || !strings.Contains(s.Error, "disk full") {
			t.Errorf("the statistics say %+v, want what stopped the run", s)
		}
		var table bytes.Buffer
		if err := stats.WriteTable(&table); err != nil || !strings.Contains(table.String(), "stopped by item i003 in stage a\n") {
			t.Errorf("the table lacks what stopped the run: %v\n%s", err, &table)
		}
		if r := q.row("i003"); r.state != pipeline.StateReady || r.attempts != 0 {
			t.Errorf("the item is %s after %d attempts, want ready and none", r.state, r.attempts)
		}
		if q.count(pipeline.StateDone) != 3 || q.count(pipeline.StateLeased) != 0 {
			t.Errorf("%d done, %d leased", q.count(pipeline.StateDone), q.count(pipeline.StateLeased))
		}
	})
}

func TestUnavailableCostsNoAttemptAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 20)
		began := time.Now()
		var calls atomic.Int64
		s := run(t, plan(4, source(q), stage("a", func(context.Context, *pipeline.Item) error {
			calls.Add(1)
			if time.Since(began) < 5*time.Minute {
				return &pipeline.Error{Kind: pipeline.Unavailable, Code: "browser-lost", Err: errors.New("no browser")}
			}
			return nil
		})))
		if s.Successful != 20 || s.Dead != 0 || s.TotalRetries != 0 {
			t.Errorf("stats %+v", s)
		}
		if n := calls.Load(); n > 20+100 {
			t.Errorf("%d calls in five minutes without a browser: that is no backing off", n)
		}
		for _, r := range q.rows {
			if r.attempts != 1 {
				t.Errorf("%s took %d attempts", r.item.ID, r.attempts)
			}
		}
	})
}

func TestItemThatKillsTheBrowserDiesInTheEnd(t *testing.T) {
	for _, others := range []int{0, 400} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 1+others)
			var kills int
			s := run(t, plan(1, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
				if it.ID == "i000" {
					kills++
					return &pipeline.Error{Kind: pipeline.Unavailable, Code: "browser-lost", Err: errors.New("it kills the browser")}
				}
				time.Sleep(time.Second)
				return nil
			})))
			if s.Dead != 1 || s.Successful != int64(others) {
				t.Errorf("stats %+v", s)
			}
			if others > 0 && kills > 4*12 {
				t.Errorf("it killed %d browsers while others were served", kills)
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 30)
		began := time.Now()
		var calls atomic.Int64
		down := func() bool { return time.Since(began) < 35*time.Second }
		p := plan(3, source(q), stage("a", func(context.Context, *pipeline.Item) error {
			calls.Add(1)
			if down() {
				return &pipeline.Error{Kind: pipeline.Unavailable, Code: "down", Err: errors.New("connection refused")}
			}
			return nil
		}, func(sp *pipeline.StagePlan) {
			sp.Breaker = &pipeline.BreakerConfig{Failures: 2, Cooldown: pipeline.Duration(10 * time.Second)}
		}))
		s := run(t, p)
		if s.Successful != 30 {
			t.Errorf("stats %+v", s)
		}
		// Two failures open it, one more may have been inside; then one probe
		// per cooldown.
		if failed := s.Stages[0].Errors["down"]; failed > 3+4 {
			t.Errorf("%d calls failed: the breaker did not hold them back", failed)
		}
		for _, r := range q.rows {
			if r.attempts != 1 {
				t.Errorf("%s took %d attempts", r.item.ID, r.attempts)
			}
		}
	})
}

func TestStageTimeoutNamesStageAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		p := plan(1, source(q), stage("slow", func(ctx context.Context, _ *pipeline.Item) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(sp *pipeline.StagePlan) { sp.Timeout = 20 * time.Second; sp.OnError = pipeline.OnErrorDead }))
		run(t, p)
		cause := q.row("i000").outcome.Cause
		if pipeline.CodeOf(cause) != "timeout" || !strings.Contains(cause.Error(), `stage "slow"`) || !strings.Contains(cause.Error(), "20s") {
			t.Errorf("cause %v", cause)
		}
	})
}

func TestDeadlineCountsWorkNotWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 2)
		q.rows[0].item.Enqueued = time.Now().Add(-24 * time.Hour) // waited for a day
		p := plan(1, source(q), stage("a", func(ctx context.Context, it *pipeline.Item) error {
			if it.ID == "i001" {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(45 * time.Second):
					return pipeline.Again("again", "once more")
				}
			}
			return nil
		}))
		p.Run.Deadline = pipeline.Duration(2 * time.Minute)
		p.Run.Retry.Attempts = 100
		s := run(t, p)
		if s.Successful != 1 || s.Dead != 1 {
			t.Errorf("stats %+v", s)
		}
		if r := q.row("i001"); pipeline.CodeOf(r.outcome.Cause) != "deadline" || r.attempts > 3 {
			t.Errorf("%v after %d attempts", r.outcome.Cause, r.attempts)
		}
	})
}

func TestRetryBudgetKeepsAnOutageSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 200)
		var calls atomic.Int64
		p := plan(8, source(q), stage("a", func(context.Context, *pipeline.Item) error {
			calls.Add(1)
			return pipeline.Again("down", "down")
		}))
		p.Run.Retry.Attempts = 2
		p.Run.Retry.Backoff.Min = pipeline.Duration(time.Millisecond)
		run(t, p)
		if n := calls.Load(); n > 2*200+10 {
			t.Errorf("%d calls for 400 attempts: retries in place multiplied the outage", n)
		}
	})
}

// committer is a witness: it must hear of failures before the queue does.
type committer struct {
	fn
	q    *queue
	seen map[string]pipeline.Outcome
	err  error
}

func (c *committer) Commit(_ context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	if r := c.q.row(it.ID); r.state != pipeline.StateLeased {
		c.q.t.Errorf("%s is %s before it is witnessed", it.ID, r.state)
	}
	if c.err != nil {
		err := c.err
		c.err = nil
		return err
	}
	c.seen[it.ID] = o
	it.Receipt = pipeline.DigestOf([]byte(it.ID))
	return nil
}

func TestFailuresAreWitnessedBeforeTheQueueHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 3)
		w := &committer{fn: nop, q: q, seen: map[string]pipeline.Outcome{}, err: errors.New("log not writable just now")}
		s := run(t, plan(1, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
			if it.ID == "i001" {
				return pipeline.Fail("bad", "bad")
			}
			return nil
		}), with("witness", w)))
		if s.Dead != 1 || len(w.seen) != 1 || w.seen["i001"].Result != pipeline.Dead {
			t.Errorf("stats %+v, witnessed %v", s, w.seen)
		}
		if got, want := q.row("i001").outcome.Digest, pipeline.DigestOf([]byte("i001")); got != want {
			t.Errorf("acknowledged with %q, want the receipt %q", got, want)
		}
	})
}

func TestRefusedAcknowledgementIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 3)
		q.lease = time.Hour // then somebody will claim it again
		q.ackErr = func(it *pipeline.Item) error {
			if it.ID == "i001" {
				return errors.New("database is gone")
			}
			return nil
		}
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		s, err := runtime.Run(ctx, plan(1, source(q), stage("a", nop)), runtime.Options{UntilEmpty: true, Log: quiet()})
		var unsettled *runtime.UnsettledError
		if !errors.As(err, &unsettled) || s.Successful != 2 || s.Unsettled != 1 || s.OK() {
			t.Errorf("stats %+v, error %v", s, err)
		}
	})
}
