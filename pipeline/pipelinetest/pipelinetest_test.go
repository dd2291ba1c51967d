package pipelinetest_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

// The fakes run the suite that the real stages run.
func TestExerciseFakes(t *testing.T) {
	t.Run("recorder", func(t *testing.T) {
		r := &pipelinetest.Recorder{Do: func(_ context.Context, it *pipeline.Item) error {
			if v, _ := it.Body.Value(); v == "bad" {
				return pipeline.Fail("bad", "bad item")
			}
			return nil
		}}
		pipelinetest.Exercise(t, r.Def(), pipelinetest.BadItem(func() *pipeline.Item { return pipelinetest.Item("bad") }))
		if len(r.Seen()) == 0 {
			t.Error("the suite processed nothing")
		}
	})
	t.Run("source", func(t *testing.T) {
		pipelinetest.Exercise(t, pipelinetest.SourceDef(pipelinetest.NewSource(pipelinetest.Items(3)...)))
	})
	t.Run("batcher", func(t *testing.T) { pipelinetest.Exercise(t, batcherDef) })
	t.Run("distributor", func(t *testing.T) {
		pipelinetest.Exercise(t, pipeline.Define("spread", "spreads", struct {
			Lanes int `yaml:"lanes"`
		}{}, func(context.Context, struct {
			Lanes int `yaml:"lanes"`
		}, pipeline.Env) (twoLanes, error) {
			return twoLanes{}, nil
		}), pipelinetest.Config("lanes: 2"))
	})
}

type twoLanes struct{}

func (twoLanes) Lanes() int       { return 2 }
func (twoLanes) ByPriority() bool { return false }
func (twoLanes) Place(it *pipeline.Item, load []int) (pipeline.Placement, error) {
	return pipeline.Placement{Lane: len(it.ID) % 2}, nil
}

type batcher struct{ open bool }

func (b *batcher) Start(ctx context.Context) error { b.open = true; return ctx.Err() }
func (b *batcher) Close() error                    { b.open = false; return nil }
func (b *batcher) Process(ctx context.Context, it *pipeline.Item) error {
	if !b.open {
		return errors.New("not started")
	}
	return ctx.Err()
}
func (b *batcher) ProcessBatch(context.Context, []*pipeline.Item) []error { return nil }
func (b *batcher) Batching() (int, time.Duration)                         { return 8, time.Millisecond }

var batcherDef = pipeline.Define("batch", "batches", struct{}{},
	func(context.Context, struct{}, pipeline.Env) (*batcher, error) { return &batcher{}, nil })

func TestSourceOrder(t *testing.T) {
	items := pipelinetest.Items(4)
	items[2].Priority = 9
	items[0].Key, items[1].Key = "k", "k"
	s := pipelinetest.NewSource(items...)
	got, err := s.Claim(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, it := range got {
		ids = append(ids, it.ID)
	}
	if diff := cmp.Diff([]string{"item-2", "item-0", "item-3"}, ids); diff != "" {
		t.Errorf("priority first, one of a key at a time (-want +got):\n%s", diff)
	}
}

func TestSourceLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := pipelinetest.NewSource(pipelinetest.Items(1)...).WithLease(30 * time.Second)
		first := claimOne(t, s)
		if got, err := s.Claim(ctx, 1); len(got) != 0 || err != nil {
			t.Fatalf("a leased item was claimed: %v, %v", got, err)
		}
		time.Sleep(20 * time.Second)
		if lost, err := s.Renew(ctx, []*pipeline.Item{first}); len(lost) != 0 || err != nil || s.Renewals() != 1 {
			t.Fatalf("renew: %v, %v", lost, err)
		}
		time.Sleep(31 * time.Second)
		second := claimOne(t, s)
		if second.Token <= first.Token || second.Attempt != 2 {
			t.Errorf("the second claim has token %d and attempt %d", second.Token, second.Attempt)
		}
		if lost, _ := s.Renew(ctx, []*pipeline.Item{first}); len(lost) != 1 {
			t.Error("a lost lease was renewed")
		}
		for _, late := range []error{s.Ack(ctx, first, pipeline.Outcome{}), s.Nack(ctx, first, pipeline.Release{})} {
			if !errors.Is(late, pipeline.ErrLeaseLost) {
				t.Errorf("a late write: %v", late)
			}
		}
		if err := s.Nack(ctx, second, pipeline.Release{After: time.Minute, Refund: true}); err != nil {
			t.Fatal(err)
		}
		n, next, _ := s.Pending(ctx)
		if n != 1 || time.Until(next) != time.Minute || len(s.Given()) != 1 {
			t.Errorf("pending %d, next in %v", n, time.Until(next))
		}
		time.Sleep(time.Minute)
		third := claimOne(t, s)
		if third.Attempt != 2 {
			t.Errorf("the refunded attempt counts: %d", third.Attempt)
		}
		s.Expire(third.ID)
		if err := s.Ack(ctx, third, pipeline.Outcome{}); !errors.Is(err, pipeline.ErrLeaseLost) {
			t.Errorf("Ack after Expire: %v", err)
		}
		if err := s.Ack(ctx, claimOne(t, s), pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(ctx, 1); !errors.Is(err, io.EOF) || len(s.Ended()) != 1 {
			t.Errorf("after the last item: %v", err)
		}
	})
}

func claimOne(t *testing.T, s *pipelinetest.Source) *pipeline.Item {
	t.Helper()
	items, err := s.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("claim: %v, %v", items, err)
	}
	return items[0]
}

func TestLoadAndEnv(t *testing.T) {
	var r pipelinetest.Recorder
	set := pipeline.NewSet(pipelinetest.SourceDef(pipelinetest.NewSource()), r.Def())
	plan := pipelinetest.Load(t, set, "- source:\n- record:\n  timeout: 5s\n")
	if len(plan.Stages) != 2 || plan.Stages[1].Timeout != 5*time.Second {
		t.Errorf("%+v", plan.Stages)
	}
	env := pipelinetest.Env(t)
	if env.Log == nil || env.Dir == "" || env.Run.Digest != pipeline.DigestOf(env.Run.Source) {
		t.Errorf("%+v", env)
	}
}
