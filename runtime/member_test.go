package runtime_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// store is embedded under a name that is not that of its method.
type store interface{ pipeline.Records }

// shared is a source whose store keeps records. It claims only from its lanes.
type shared struct {
	*queue
	store
	lanes  func() pipeline.LaneSet
	wakes  chan struct{}
	paused bool
	calls  atomic.Int64
}

func (s *shared) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	s.calls.Add(1)
	if s.lanes != nil && s.lanes() == 0 {
		return nil, nil
	}
	return s.queue.Claim(ctx, most)
}

func (s *shared) Wakes() <-chan struct{} { return s.wakes }

func (s *shared) Stats(context.Context) (pipeline.QueueStats, error) {
	return pipeline.QueueStats{Ready: 3, Delayed: 1, Paused: s.paused, AgeSeconds: 7}, nil
}

// sharing is the config of such a source.
type sharing struct{ leased bool }

func (s sharing) Sharing() (string, bool) { return "pages", s.leased }

// from makes the plan of a source that processes share.
func from[S pipeline.Source](src S, c sharing, got func(pipeline.Env)) pipeline.StagePlan {
	def := pipeline.Define("source", "", sharing{}, func(_ context.Context, _ sharing, env pipeline.Env) (S, error) {
		got(env)
		return src, nil
	})
	return pipeline.NewStagePlan("claim", def, c)
}

// on makes a plan over a queue with records.
func on(s *shared, c sharing, version, carriers int, stages ...pipeline.StagePlan) *pipeline.Plan {
	first := from(s, c, func(env pipeline.Env) {
		if c.leased {
			s.lanes = env.Lanes
		}
	})
	p := plan(carriers, append([]pipeline.StagePlan{first}, stages...)...)
	p.Version = version
	return p
}

func limited(c pipeline.LimitConfig) func(*pipeline.StagePlan) {
	return func(sp *pipeline.StagePlan) { sp.Limit = &c }
}

// TestLeasedRun: a run leases lanes through its source's config, is listed while
// it runs, and leaves.
func TestLeasedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 10), store: new(cluster.Memory)}
		var seen cluster.Worker
		p := on(s, sharing{leased: true}, 0, 1, stage("work", func(ctx context.Context, _ *pipeline.Item) error {
			time.Sleep(cluster.DefaultInterval)
			found, _, err := cluster.Workers(ctx, s, "pages")
			if len(found) == 1 {
				seen = found[0]
			}
			return err
		}))
		stats := run(t, p)
		if stats.Successful != 10 || seen.Lanes.Count() != 64 || seen.Pipeline != "test" || seen.Succeeded == 0 || seen.Claimed < seen.Succeeded {
			t.Errorf("%d done; the worker: %+v", stats.Successful, seen)
		}
		if left, _, _ := s.Records(t.Context(), "workers/"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestLeasesNeedRecords: who asks for lanes and cannot have them gets an error,
// not all lanes.
func TestLeasesNeedRecords(t *testing.T) {
	p := plan(1, from(newQueue(t, 1), sharing{leased: true}, func(pipeline.Env) {}))
	_, err := runtime.Run(t.Context(), p, runtime.Options{UntilEmpty: true, Log: quiet()})
	var start *runtime.StartError
	if !errors.As(err, &start) || !strings.Contains(err.Error(), "lanes: leased") {
		t.Error(err)
	}
}

// TestSuperseded: a run ends by itself when another version begins, having ended
// what it held.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 100), store: new(cluster.Memory)}
		work := stage("work", func(context.Context, *pipeline.Item) error { time.Sleep(time.Second); return nil })
		var wg sync.WaitGroup
		wg.Go(func() {
			stats, err := runtime.Run(t.Context(), on(s, sharing{}, 1, 2, work), runtime.Options{Log: quiet()})
			var other *cluster.SupersededError
			if !errors.As(err, &other) || other.Now != 2 || stats.Successful == 0 || stats.Refunded != 0 {
				t.Errorf("version 1: %v, %+v", err, stats)
			}
		})
		time.Sleep(10 * time.Second)
		if run(t, on(s, sharing{}, 2, 2, work)); s.count(pipeline.StateDone) != 100 {
			t.Errorf("%d are done", s.count(pipeline.StateDone))
		}
		wg.Wait()
		_, err := runtime.Run(t.Context(), on(s, sharing{}, 1, 2, work), runtime.Options{UntilEmpty: true, Log: quiet()})
		var start *runtime.StartError
		if !errors.As(err, &start) || pipeline.CodeOf(err) != cluster.CodeOldVersion {
			t.Errorf("an older version: %v", err)
		}
		if _, err := runtime.Run(t.Context(), on(s, sharing{}, 1, 2, work), runtime.Options{UntilEmpty: true, Log: quiet(), Rollback: true}); err != nil {
			t.Errorf("rollback: %v", err)
		}
	})
}

// TestWaker: a claim is repeated as soon as the source says so, not at the next
// poll.
func TestWaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 0), store: new(cluster.Memory), wakes: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		p := on(s, sharing{}, 0, 2, stage("work", func(context.Context, *pipeline.Item) error { close(done); return nil }))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = runtime.Run(ctx, p, runtime.Options{Log: quiet(), PollMin: time.Hour, PollBusy: time.Hour, PollIdle: time.Hour})
		}()
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.add(pipeline.Item{ID: "late"})
		s.mu.Unlock()
		began := time.Now()
		s.wakes <- struct{}{}
		<-done
		if time.Since(began) > 0 {
			t.Errorf("claimed after %v", time.Since(began))
		}
		if n := s.calls.Load(); n > 3 {
			t.Errorf("%d claims", n)
		}
		stop()
		<-ended
	})
}

// TestLimits: without a store that others share, limits hold in the process; their
// waits are counted.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in, most atomic.Int64
		work := func(context.Context, *pipeline.Item) error {
			most.Store(max(most.Load(), in.Add(1)))
			time.Sleep(100 * time.Millisecond)
			in.Add(-1)
			return nil
		}
		began := time.Now()
		stats := run(t, plan(8, source(newQueue(t, 40)), stage("work", work, limited(pipeline.LimitConfig{Concurrency: 3}))))
		st := stats.Stages[0]
		if most.Load() != 3 || st.MaxInFlight != 3 || st.Waits == 0 || st.Waited == 0 {
			t.Errorf("%d at a time: %+v", most.Load(), st)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		began = time.Now()
		run(t, plan(8, source(newQueue(t, 40)), stage("work", work, limited(pipeline.LimitConfig{Rate: pipeline.Rate{Count: 10, Per: time.Second}}))))
		if took := time.Since(began); took < 3900*time.Millisecond || took > 4500*time.Millisecond {
			t.Errorf("40 items at 10/s took %v", took)
		}
	})
}

// TestLimitPerKey: an item whose key is used up goes back without losing an
// attempt, so that its carrier is free for others, and nobody is to blame.
func TestLimitPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 0)
		for i := range 30 {
			host := "busy"
			if i >= 20 {
				host = "idle"
			}
			q.add(pipeline.Item{ID: string(rune('a' + i)), Meta: map[string]string{"host": host}})
		}
		per, err := pipeline.CompileExpr("item.meta.host")
		if err != nil {
			t.Fatal(err)
		}
		var first atomic.Int64
		began := time.Now()
		work := func(_ context.Context, it *pipeline.Item) error {
			if it.Meta["host"] == "idle" {
				first.CompareAndSwap(0, int64(time.Since(began)))
			}
			time.Sleep(2 * time.Second)
			return nil
		}
		p := plan(4, source(q), stage("work", work, limited(pipeline.LimitConfig{Concurrency: 1, Per: per})))
		stats := run(t, p)
		if stats.Successful != 30 || stats.Refunded == 0 || stats.TotalRetries != 0 || stats.Stages[0].Errors["limited"] == 0 {
			t.Errorf("%+v", stats)
		}
		if waited := time.Duration(first.Load()); waited > 20*time.Second {
			t.Errorf("an item of another key waited %v", waited)
		}
	})
}

// TestPermitLostInRun: a stage whose permit is lost is told, and its item goes
// back without losing an attempt.
func TestPermitLostInRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &cutOff{Memory: new(cluster.Memory)}
		s := &shared{queue: newQueue(t, 1), store: records}
		tries := 0
		work := func(ctx context.Context, _ *pipeline.Item) error {
			if tries++; tries > 1 {
				records.cut.Store(false)
				return nil
			}
			records.cut.Store(true)
			<-ctx.Done()
			records.cut.Store(false)
			return ctx.Err()
		}
		stats := run(t, on(s, sharing{}, 0, 2, stage("work", work, limited(pipeline.LimitConfig{Concurrency: 1}))))
		if stats.Successful != 1 || stats.Refunded != 1 || stats.Stages[0].Errors["permit-lost"] != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

// cutBatch is a Batcher whose first batch cuts the store off and waits for the end of
// its context.
type cutBatch struct {
	fn
	records *cutOff
	batches atomic.Int64
}

func (s *cutBatch) Batching() (int, time.Duration) { return 4, time.Second }

func (s *cutBatch) ProcessBatch(ctx context.Context, items []*pipeline.Item) []error {
	if s.batches.Add(1) > 1 {
		return nil
	}
	s.records.cut.Store(true)
	<-ctx.Done()
	s.records.cut.Store(false)
	errs := make([]error, len(items))
	for i := range errs {
		errs[i] = ctx.Err()
	}
	return errs
}

// TestPermitLostInBatch: a batch under way ends when its permits are somebody else's.
func TestPermitLostInBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &cutOff{Memory: new(cluster.Memory)}
		s := &shared{queue: newQueue(t, 2), store: records}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		p := on(s, sharing{}, 0, 2, with("work", &cutBatch{fn: nop, records: records}, limited(pipeline.LimitConfig{Concurrency: 2})))
		stats, err := runtime.Run(ctx, p, runtime.Options{UntilEmpty: true, Log: quiet()})
		if err != nil || stats.Successful != 2 || stats.Refunded == 0 || stats.Stages[0].Errors["permit-lost"] != stats.Refunded {
			t.Errorf("error %v, %+v", err, stats)
		}
	})
}

// TestAbandonedCallKeepsItsPermit: a run ends while a stage does not return. Its
// permit is nobody else's before its session has ended in the store.
func TestAbandonedCallKeepsItsPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 1), store: new(cluster.Memory)}
		p := on(s, sharing{}, 0, 1, stage("deaf", func(context.Context, *pipeline.Item) error {
			time.Sleep(time.Hour)
			return nil
		}, limited(pipeline.LimitConfig{Concurrency: 1})))
		p.Run.Drain = pipeline.Duration(time.Second)
		var abandoned *runtime.AbandonedError
		if _, _, err := interrupted(p, 10*time.Second); !errors.As(err, &abandoned) {
			t.Fatalf("error %v", err)
		}
		sessions := func() int {
			found, _, err := cluster.Workers(t.Context(), s, "pages")
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		if n := sessions(); n != 1 {
			t.Errorf("%d sessions while the call goes on, want its own", n)
		}
		time.Sleep(3 * cluster.DefaultInterval)
		if n := sessions(); n != 0 {
			t.Errorf("%d sessions after their time", n)
		}
		time.Sleep(time.Hour)
	})
}

// TestDrainingRunGivesLanesUp: another run on the queue has all lanes but that of the
// item in hand while this one drains.
func TestDrainingRunGivesLanesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 1), store: new(cluster.Memory)}
		p := on(s, sharing{leased: true}, 0, 1, stage("work", sleepy(time.Hour)))
		p.Run.Drain = pipeline.Duration(2 * time.Hour)
		var held int
		time.AfterFunc(30*time.Second, func() { // it drains since 10 s
			found, _, err := cluster.Workers(t.Context(), s, "pages")
			if err != nil || len(found) != 1 || !found[0].Draining {
				t.Errorf("workers %+v, error %v", found, err)
				return
			}
			held = found[0].Lanes.Count()
		})
		if stats, _, err := interrupted(p, 10*time.Second); stats.Successful != 1 || !errors.Is(err, runtime.ErrInterrupted) {
			t.Errorf("%+v, error %v", stats, err)
		}
		if held != 0 {
			t.Errorf("it claims from %d lanes while it drains", held)
		}
	})
}

// cutOff is a store that cannot be reached at times.
type cutOff struct {
	*cluster.Memory
	cut atomic.Bool
}

func (c *cutOff) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if c.cut.Load() {
		return 0, errors.New("unreachable")
	}
	return c.Memory.WriteRecord(ctx, name, value, rev, ttl)
}

// TestQueueDepth: status and metrics show the queue's statistics.
func TestQueueDepth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{queue: newQueue(t, 1), store: new(cluster.Memory), paused: true}
		var running *runtime.Running
		work := stage("work", func(context.Context, *pipeline.Item) error {
			running.Snapshot()
			synctest.Wait() // it asks in the background
			if !running.Snapshot().Paused {
				t.Error("the status does not show that the queue is paused")
			}
			r := running.Reading()
			if r.Depth == nil || r.Depth.Ready != 3 || r.Depth.AgeSeconds != 7 || r.Queue != "pages" || r.Workers != 1 {
				t.Errorf("the metrics: %+v", r)
			}
			page := httptest.NewRecorder()
			telemetry.Handler(running.Reading).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
			for _, line := range []string{`waybill_queue_ready{pipeline="test",queue="pages"} 3`, `waybill_queue_delayed{pipeline="test",queue="pages"} 1`,
				`waybill_queue_leased{pipeline="test",queue="pages"} 0`, `waybill_queue_dead{pipeline="test",queue="pages"} 0`,
				`waybill_queue_age_seconds{pipeline="test",queue="pages"} 7`, `waybill_queue_paused{pipeline="test",queue="pages"} 1`,
				`waybill_workers{pipeline="test",queue="pages"} 1`, `waybill_stage_waiting{pipeline="test",stage="work"} 0`} {
				if !strings.Contains(page.Body.String(), line+"\n") {
					t.Errorf("the metrics lack %s", line)
				}
			}
			return nil
		})
		_, err := runtime.Run(t.Context(), on(s, sharing{}, 0, 1, work), runtime.Options{UntilEmpty: true, Log: quiet(),
			Observer: runtime.Observer{Running: func(r *runtime.Running) { running = r }}})
		if err != nil {
			t.Error(err)
		}
	})
}
