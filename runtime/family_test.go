package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// emit splits an item into children with these ids.
func emit(names ...string) fn {
	return func(_ context.Context, it *pipeline.Item) error {
		for _, n := range names {
			it.Emit(&pipeline.Item{ID: it.ID + n})
		}
		return nil
	}
}

func TestParentEndsWithItsChildren(t *testing.T) {
	tests := []struct {
		name    string
		bad     func(id string, attempt int) error
		result  pipeline.Result
		attempt int
	}{
		{"all well", func(string, int) error { return nil }, pipeline.Succeeded, 1},
		{"one dead", func(id string, _ int) error {
			if strings.HasSuffix(id, ".b") {
				return pipeline.Fail("bad", "bad child")
			}
			return nil
		}, pipeline.Dead, 1},
		{"one skipped", func(id string, _ int) error {
			if strings.HasSuffix(id, ".b") {
				return pipeline.SkipItem("not this one")
			}
			return nil
		}, pipeline.Succeeded, 1},
		{"one needs a long wait", func(id string, attempt int) error {
			if strings.HasSuffix(id, ".b") && attempt == 1 {
				return &pipeline.Error{Kind: pipeline.Retry, Code: "wait", After: time.Minute}
			}
			return nil
		}, pipeline.Succeeded, 2},
		{"one dead, one needs a wait", func(id string, attempt int) error {
			if strings.HasSuffix(id, ".b") {
				return &pipeline.Error{Kind: pipeline.Retry, Code: "wait", After: time.Minute}
			} else if strings.HasSuffix(id, ".c") {
				return pipeline.Fail("bad", "bad child")
			}
			return nil
		}, pipeline.Dead, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 3)
				q.carriers = 2
				var after atomic.Int64
				run(t, plan(2, source(q), stage("split", emit(".a", ".b", ".c")),
					stage("work", func(_ context.Context, it *pipeline.Item) error {
						time.Sleep(time.Second)
						return tt.bad(it.ID, it.Attempt)
					}),
					stage("after", func(_ context.Context, it *pipeline.Item) error {
						after.Add(1)
						if len(it.Steps) != 2 || it.Steps[0].Stage != "split" {
							t.Errorf("steps of %s: %v", it.ID, it.Steps)
						}
						return nil
					})))
				for i := range 3 {
					r := q.row(fmt.Sprintf("i%03d", i))
					if r.outcome.Result != tt.result || r.attempts != tt.attempt {
						t.Errorf("%s ended %s after %d attempts, want %s after %d", r.item.ID, r.outcome.Result, r.attempts, tt.result, tt.attempt)
					}
				}
				if after.Load() == 0 {
					t.Error("no child came to the last stage")
				}
			})
		})
	}
}

func TestNestedFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 5)
		q.carriers = 3
		var leaves atomic.Int64
		s := run(t, plan(3, source(q), stage("s1", emit(".1", ".2", ".3")), stage("s2", emit("x", "y", "z")),
			stage("leaf", func(context.Context, *pipeline.Item) error { leaves.Add(1); return nil })))
		if leaves.Load() != 45 || s.Children != 5*3+5*9 || s.Successful != 5 {
			t.Errorf("%d leaves, stats %+v", leaves.Load(), s)
		}
	})
}

// batch is a Batcher that notes the size of its batches.
type batch struct {
	fn
	max    int
	linger time.Duration
	err    func(*pipeline.Item) error
	mu     sync.Mutex
	sizes  []int
	at     []time.Time
}

func (b *batch) Batching() (int, time.Duration) { return b.max, b.linger }

func (b *batch) ProcessBatch(_ context.Context, items []*pipeline.Item) []error {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(items))
	b.at = append(b.at, time.Now())
	b.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	if b.err == nil {
		return nil
	}
	errs := make([]error, len(items))
	for i, it := range items {
		errs[i] = b.err(it)
	}
	return errs
}

func TestBatchesFillUpOrCloseWhenNobodyCanJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 20)
		b := &batch{fn: nop, max: 5, linger: time.Hour}
		began := time.Now()
		s := run(t, plan(8, source(q), stage("a", sleepy(time.Millisecond)), with("b", b)))
		if s.Successful != 20 {
			t.Errorf("stats %+v", s)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %v: a batch lingered although nobody could join", took)
		}
		for _, n := range b.sizes {
			if n > 5 {
				t.Errorf("a batch of %d, want 5 at most", n)
			}
		}
		if len(b.sizes) > 10 {
			t.Errorf("%d batches for 20 items: %v", len(b.sizes), b.sizes)
		}
	})
}

func TestBatchLingersForCompanyThatMayCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 2)
		b := &batch{fn: nop, max: 5, linger: 200 * time.Millisecond}
		began := time.Now()
		run(t, plan(2, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
			if it.ID == "i001" {
				time.Sleep(time.Second) // comes too late
			}
			return nil
		}), with("b", b)))
		if len(b.at) != 2 || b.at[0].Sub(began) != 200*time.Millisecond || b.at[1].Sub(began) != time.Second {
			t.Errorf("batches of %v after %v", b.sizes, b.at)
		}
	})
}

func TestBatchErrorsAreEachItemsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 20)
		b := &batch{fn: nop, max: 4, linger: time.Second, err: func(it *pipeline.Item) error {
			if strings.HasSuffix(it.ID, "7") {
				return pipeline.Fail("seven", "seven")
			}
			return nil
		}}
		s := run(t, plan(4, source(q), with("b", b)))
		if s.Dead != 2 || s.Successful != 18 || q.row("i017").state != pipeline.StateDead {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestBudgets(t *testing.T) {
	q := newQueue(t, 1)
	spend := func(n int64) fn {
		return func(_ context.Context, it *pipeline.Item) error {
			if err := it.Budget.Reserve(pipeline.UnitFuel, n); err != nil {
				return err
			}
			it.Budget.Settle(pipeline.UnitFuel, n, n)
			return nil
		}
	}
	var steps []pipeline.StepRecord
	p := plan(1, source(q),
		stage("a", spend(40)),
		stage("b", spend(30), func(sp *pipeline.StagePlan) { sp.Budget.Fuel = 30 }),
		stage("look", func(_ context.Context, it *pipeline.Item) error {
			steps = append(steps, it.Steps...)
			if left, _ := it.Budget.Left(pipeline.UnitFuel); left != 30 {
				t.Errorf("%d left of the item's budget, want 30", left)
			}
			return nil
		}),
		stage("c", spend(20), func(sp *pipeline.StagePlan) { sp.Budget.Fuel = 10 }))
	p.Run.Budget.Fuel = 100
	run(t, p)
	if pipeline.CodeOf(q.row("i000").outcome.Cause) != "budget-exceeded" {
		t.Errorf("cause %v", q.row("i000").outcome.Cause)
	}
	if len(steps) != 2 || steps[0].Spent[pipeline.UnitFuel] != 40 || steps[1].Spent[pipeline.UnitFuel] != 30 {
		t.Errorf("steps %+v", steps)
	}
}
