package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func nop(context.Context, *pipeline.Item) error { return nil }

func TestEveryItemGoesThroughEveryStageOnce(t *testing.T) {
	for _, carriers := range []int{1, 2, 8, 40} {
		t.Run(fmt.Sprint(carriers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 500)
				q.carriers = carriers
				var calls [3]atomic.Int64
				count := func(i int) fn {
					return func(context.Context, *pipeline.Item) error {
						calls[i].Add(1)
						time.Sleep(time.Millisecond) // virtual
						return nil
					}
				}
				s := run(t, plan(carriers, source(q), stage("a", count(0)), stage("b", count(1)), stage("c", count(2))))
				if s.Total != 500 || s.Successful != 500 || q.count(pipeline.StateDone) != 500 {
					t.Errorf("stats %+v, done %d", s, q.count(pipeline.StateDone))
				}
				for i := range calls {
					if n := calls[i].Load(); n != 500 {
						t.Errorf("stage %d was called %d times", i, n)
					}
				}
				if got, want := s.P50.D(), 3*time.Millisecond; got < want || got > want*17/16 {
					t.Errorf("p50 = %v, want about %v", got, want)
				}
			})
		})
	}
}

func TestStageConcurrencyIsALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 64)
		var inside, most atomic.Int64
		limited := func(context.Context, *pipeline.Item) error {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Millisecond)
			inside.Add(-1)
			return nil
		}
		s := run(t, plan(16, source(q), stage("free", nop), stage("limited", limited, func(sp *pipeline.StagePlan) { sp.Concurrency = 3 })))
		if most.Load() != 3 || s.Stages[1].MaxInFlight != 3 {
			t.Errorf("%d were inside at once (statistics say %d), want 3", most.Load(), s.Stages[1].MaxInFlight)
		}
	})
}

func TestNothingIsClaimedBeforeEveryStageStarted(t *testing.T) {
	q := newQueue(t, 1)
	q.claims = func() error { t.Error("claimed although a stage did not start"); return nil }
	boom := errors.New("no browser")
	first := &starter{}
	second := &starter{err: boom}
	p := plan(2, source(q), with("first", first), with("second", second))
	p.Stages[2].Pos = pipeline.Pos{File: "p.yaml", Line: 7, Col: 5}
	_, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet()})
	var start *runtime.StartError
	if !errors.As(err, &start) || !errors.Is(err, boom) || start.Stage != "second" {
		t.Fatalf("error = %v", err)
	}
	if want := `p.yaml:7:5: stage "second": no browser`; err.Error() != want {
		t.Errorf("error = %q, want %q", err, want)
	}
	if first.closed != 1 || second.closed != 1 {
		t.Errorf("closed %d and %d times, want once each", first.closed, second.closed)
	}
}

type starter struct {
	err    error
	closed int
	order  *[]string
	name   string
}

func (s *starter) Start(context.Context) error                          { return s.err }
func (s *starter) Process(ctx context.Context, it *pipeline.Item) error { return nil }
func (s *starter) Close() error {
	s.closed++
	if s.order != nil {
		*s.order = append(*s.order, s.name)
	}
	return nil
}

func TestStagesAreClosedInReverse(t *testing.T) {
	var order []string
	q := newQueue(t, 3)
	run(t, plan(2, source(q), with("a", &starter{order: &order, name: "a"}), with("b", &starter{order: &order, name: "b"})))
	if fmt.Sprint(order) != "[b a]" {
		t.Errorf("closed in order %v", order)
	}
}

func TestUntilEmptyWaitsForDelayedItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		q.add(pipeline.Item{ID: "later"}).ready = time.Now().Add(time.Minute)
		began := time.Now()
		s := run(t, plan(4, source(q), stage("a", nop)))
		if s.Successful != 2 {
			t.Errorf("%d items succeeded", s.Successful)
		}
		if took := time.Since(began); took < time.Minute || took > time.Minute+2*time.Second {
			t.Errorf("the run took %v", took)
		}
	})
}

func TestEOFEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 10)
		q.once = true
		s, err := runtime.Run(context.Background(), plan(4, source(q), stage("a", nop)), runtime.Options{Log: quiet()})
		if err != nil || s.Successful != 10 {
			t.Errorf("stats %+v, error %v", s, err)
		}
	})
}

func TestOrderedStageSeesTheOrderOfTheClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 100)
		var mu sync.Mutex
		var seen []string
		slow := func(_ context.Context, it *pipeline.Item) error {
			time.Sleep(time.Duration(it.ID[3]*7%13) * time.Millisecond)
			if it.ID[3] == '5' {
				return pipeline.SkipItem("fives are left out")
			}
			if it.ID[3] == '7' {
				for i := range 3 {
					it.Emit(&pipeline.Item{ID: fmt.Sprintf("%s.%d", it.ID, i)})
				}
			}
			return nil
		}
		out := &ordered{fn: func(_ context.Context, it *pipeline.Item) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, it.ID)
			return nil
		}}
		s := run(t, plan(8, source(q), stage("slow", slow), with("out", out)))
		var want []string
		for i := range 100 {
			switch id := fmt.Sprintf("i%03d", i); i % 10 {
			case 5:
			case 7:
				want = append(want, id+".0", id+".1", id+".2")
			default:
				want = append(want, id)
			}
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("seen %v", seen)
		}
		if s.Skipped != 10 || s.Successful != 90 || s.Children != 30 {
			t.Errorf("stats %+v", s)
		}
	})
}

type ordered struct{ fn }

func (ordered) Ordered() bool { return true }
