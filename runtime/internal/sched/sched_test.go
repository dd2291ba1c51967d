package sched_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waiting is a goroutine of the model that asked for the permit.
type waiting struct {
	name, priority int
	cancel         context.CancelCauseFunc
}

var errGone = errors.New("gone")

// TestPermitModel runs random sequences of asking, giving back and giving up
// against a model that is a plain sorted list. After every step the real permit
// is held by exactly those that the model says, so no wake-up is ever lost.
func TestPermitModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(rt, "limit")
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 60).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			p := sched.NewPermit(limit)
			var mu sync.Mutex
			holds, gone := map[int]bool{}, map[int]bool{}
			var queue []waiting
			model := map[int]bool{}
			cancels := map[int]context.CancelCauseFunc{}
			for name, step := range steps {
				switch {
				case step < 50: // ask
					ctx, cancel := context.WithCancelCause(context.Background())
					cancels[name] = cancel
					w := waiting{name, step % 3, cancel}
					go func() {
						err := p.Acquire(ctx, w.priority)
						mu.Lock()
						defer mu.Unlock()
						if holds[w.name] = err == nil; err != nil {
							delete(holds, w.name)
							gone[w.name] = errors.Is(err, errGone)
						}
					}()
					synctest.Wait()
					if len(model) < limit {
						model[name] = true
					} else {
						i, _ := slices.BinarySearchFunc(queue, w, func(a, b waiting) int {
							if a.priority != b.priority {
								return b.priority - a.priority
							}
							return a.name - b.name
						})
						queue = slices.Insert(queue, i, w)
					}
				case step < 80: // give back
					for holder := range model {
						p.Release()
						delete(model, holder)
						mu.Lock()
						delete(holds, holder)
						mu.Unlock()
						if len(queue) > 0 {
							model[queue[0].name] = true
							queue = queue[1:]
						}
						break
					}
				case len(queue) > 0: // give up, in half of the cases while being served
					i := step % len(queue)
					w := queue[i]
					queue = slices.Delete(queue, i, i+1)
					w.cancel(errGone)
					synctest.Wait()
					mu.Lock()
					if !gone[w.name] {
						t.Errorf("waiter %d did not leave with the cause", w.name)
					}
					mu.Unlock()
				}
				synctest.Wait()
				mu.Lock()
				if fmt.Sprint(holds) != fmt.Sprint(model) {
					t.Errorf("step %d: held by %v, want %v", name, holds, model)
				}
				mu.Unlock()
			}
			for _, c := range cancels {
				c(errGone)
			}
			synctest.Wait()
			for range model {
				p.Release()
			}
			for range limit {
				if !p.TryAcquire() {
					t.Error("a permit was lost")
				}
			}
			if p.TryAcquire() {
				t.Error("there is a permit too many")
			}
		})
	})
}

// TestPermitHammer races asking, giving up and giving back on real threads.
func TestPermitHammer(t *testing.T) {
	p := sched.NewPermit(2)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 2000 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+n)%3 == 0 {
					go cancel()
				}
				if p.Acquire(ctx, n%4) == nil {
					p.Release()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	free := 0
	for p.TryAcquire() {
		free++
	}
	if free != 2 {
		t.Errorf("the permit has %d places after the storm, want 2", free)
	}
}

// TestRingModel lets numbers arrive, leave and give up in random order: they
// pass in order, and nobody is left behind.
func TestRingModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "n")
		order := rapid.Permutation(numbers(n)).Draw(rt, "order")
		kinds := rapid.SliceOfN(rapid.IntRange(0, 3), n, n).Draw(rt, "kinds")
		synctest.Test(t, func(t *testing.T) {
			ring := sched.NewRing(2)
			var mu sync.Mutex
			var passed, want []int
			for _, seq := range order {
				ctx, cancel := context.WithCancelCause(context.Background())
				go func() {
					turn := sched.NewTurn(ring, uint64(seq), nil)
					defer turn.Leave()
					if kinds[seq] == 1 { // ends before the ordered stage
						return
					}
					if kinds[seq] == 2 {
						cancel(errGone)
					}
					if turn.Wait(ctx) == nil && kinds[seq] != 2 {
						time.Sleep(time.Millisecond)
						mu.Lock()
						passed = append(passed, seq)
						mu.Unlock()
					}
				}()
				defer cancel(nil)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			for seq := range n {
				if kinds[seq] != 1 && kinds[seq] != 2 {
					want = append(want, seq)
				}
			}
			if !slices.Equal(passed, want) {
				t.Errorf("passed %v, want %v", passed, want)
			}
		})
	})
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestTurnOfAFamily(t *testing.T) {
	ring := sched.NewRing(4)
	first, second := sched.NewTurn(ring, 0, nil), sched.NewTurn(ring, 1, nil)
	kids := sched.NewRing(2)
	a, b := sched.NewTurn(kids, 0, &second), sched.NewTurn(kids, 1, &second)
	if !first.Before(&a) || !a.Before(&b) || b.Before(&a) || !second.Before(&a) {
		t.Error("turns are not ordered by the outermost place first")
	}
	if a.Ready() || b.Ready() {
		t.Error("a child is ready before its parent")
	}
	first.Leave()
	if !a.Ready() || b.Ready() {
		t.Error("not the first child but the second is ready")
	}
	a.Leave()
	a.Leave() // twice is once
	if !b.Ready() {
		t.Error("the second child is not ready")
	}
}

func TestPanicIsTheStagesError(t *testing.T) {
	boom := errors.New("boom")
	permit := sched.NewPermit(1)
	crashed := -1
	line := sched.Line{First: -1, Stages: []sched.Stage{
		{Run: func(context.Context, *sched.Flight) error { return nil }},
		{Permit: permit, Run: func(context.Context, *sched.Flight) error { panic(boom) }},
	}, Crashed: func(f *sched.Flight, bug error) error { crashed = f.At; return bug }}
	err := line.Walk(&sched.Flight{Item: &pipeline.Item{}, Ctx: t.Context()})
	var p *sched.Panic
	if pipeline.KindOf(err) != pipeline.Bug || !errors.Is(err, boom) || !errors.As(err, &p) || len(p.Stack) == 0 {
		t.Errorf("error %v", err)
	}
	if crashed != 1 {
		t.Errorf("stage %d crashed, want 1", crashed)
	}
	if !permit.TryAcquire() {
		t.Error("the permit was not given back")
	}
}

func TestBatchStageMustAnswerForEachItem(t *testing.T) {
	for _, n := range []int{0, 3} { // a batch stage that answers for too few or too many
		errs := sched.GuardBatch(context.Background(), answers(n), make([]*pipeline.Item, 2))
		if len(errs) != 2 || pipeline.KindOf(errs[0]) != pipeline.Bug || pipeline.KindOf(errs[1]) != pipeline.Bug {
			t.Errorf("%d answers for 2 items: %v", n, errs)
		}
	}
}

// answers is a batch stage that returns so many errors, whatever it is asked.
type answers int

func (answers) Process(context.Context, *pipeline.Item) error { return nil }
func (answers) Batching() (int, time.Duration)                { return 2, 0 }
func (n answers) ProcessBatch(context.Context, []*pipeline.Item) []error {
	return make([]error, n)
}

func TestFlightLeavesABatchThatHasNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := new(sched.Quiet)
		q.Unblock(3) // a third carrier could still come
		var sizes []int
		c := sched.NewCollector(10, time.Minute, q, func(fs []*sched.Flight) []error {
			sizes = append(sizes, len(fs))
			return nil
		})
		ctx, cancel := context.WithCancelCause(context.Background())
		var left, stayed error
		go func() { left = c.Do(ctx, &sched.Flight{}) }()
		go func() { stayed = c.Do(context.Background(), &sched.Flight{}) }()
		time.Sleep(time.Second)
		cancel(errGone)
		synctest.Wait()
		if !errors.Is(left, errGone) {
			t.Errorf("the flight left with %v", left)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if stayed != nil || !slices.Equal(sizes, []int{1}) {
			t.Errorf("error %v, batches %v", stayed, sizes)
		}
	})
}

// TestPermitServedWhileGivingUp hands the permit to a waiter in the very moment
// that it gives up: whichever way that goes, the permit is not lost.
func TestPermitServedWhileGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			p := sched.NewPermit(1)
			p.TryAcquire()
			ctx, cancel := context.WithCancel(context.Background())
			got := make(chan error, 1)
			go func() { got <- p.Acquire(ctx, 0) }()
			synctest.Wait()
			cancel() // the waiter is told first, but is still in the queue
			p.Release()
			if <-got == nil {
				p.Release()
			}
			if !p.TryAcquire() {
				t.Fatal("the permit is lost")
			}
		}
	})
}
