package pipelinetest

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// identity is what no stage may change.
type identity struct {
	id, key, queue    string
	attempt, priority int
	token             int64
}

func identify(it *pipeline.Item) identity {
	return identity{it.ID, it.Key, it.Queue, it.Attempt, it.Priority, it.Token}
}

func (x *exercise) testProcess(t *testing.T) {
	s := x.start(t).(pipeline.Stage)
	it := x.item()
	before := identify(it)
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatalf("process: %v", err)
	}
	if after := identify(it); after != before {
		t.Errorf("the stage changed the item's identity from %+v to %+v", before, after)
	}
}

// testCancelled: a stage whose context has ended returns, and does not turn
// the end into a failure of the item.
func (x *exercise) testCancelled(t *testing.T) {
	s := x.start(t).(pipeline.Stage)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "Process with a context that has ended", func() {
		err := s.Process(ctx, x.item())
		if kind := pipeline.KindOf(err); err != nil && kind != pipeline.Cancelled && kind != pipeline.Unavailable && kind != pipeline.Retry {
			t.Errorf("a cancelled call failed as %v, which blames the item: %v", kind, err)
		}
	})
}

// testConcurrent: calls at the same time, each with an item of its own, and
// the items are changed as soon as the call is over: a stage that kept a
// reference is caught by the race detector.
func (x *exercise) testConcurrent(t *testing.T) {
	s := x.start(t).(pipeline.Stage)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				it := x.item()
				it.ID += "-" + strconv.Itoa(i) + "-" + strconv.Itoa(j)
				if err := s.Process(t.Context(), it); err != nil {
					t.Errorf("process: %v", err)
				}
				it.SetMeta("pipelinetest", "over")
				it.Artifacts, it.Body = nil, pipeline.JSONBody(nil)
			}
		})
	}
	wg.Wait()
}

func (x *exercise) testBatch(t *testing.T) {
	s := x.start(t)
	b, ok := s.(pipeline.Batcher)
	if !ok {
		return
	}
	size, linger := b.Batching()
	if size < 1 || linger < 0 {
		t.Fatalf("Batching() = %d, %v", size, linger)
	}
	items := make([]*pipeline.Item, min(size, 3))
	for i := range items {
		items[i] = x.item()
		items[i].ID += "-" + strconv.Itoa(i)
	}
	errs := b.ProcessBatch(t.Context(), items)
	if errs != nil && len(errs) != len(items) {
		t.Fatalf("%d errors for %d items", len(errs), len(items))
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("item %d: %v", i, err)
		}
	}
}

func (x *exercise) testFailure(t *testing.T) {
	s := x.start(t).(pipeline.Stage)
	it := x.bad()
	before := identify(it)
	if err := s.Process(t.Context(), it); err == nil {
		t.Error("the bad item did not fail")
	}
	if after := identify(it); after != before {
		t.Errorf("the stage changed the identity of an item that failed from %+v to %+v", before, after)
	}
	if err := s.Process(t.Context(), x.item()); err != nil {
		t.Errorf("a good item after a bad one: %v", err)
	}
}

// testSource checks what every source must keep; queue drivers have a larger
// suite of their own.
func (x *exercise) testSource(t *testing.T) {
	s := x.start(t).(pipeline.Source)
	if s.Lease() < 0 {
		t.Errorf("Lease() = %v", s.Lease())
	}
	if items, err := s.Claim(t.Context(), 0); len(items) > 0 || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("Claim of none returned %d items, %v", len(items), err)
	}
	items, err := s.Claim(t.Context(), 1)
	if err != nil && !errors.Is(err, io.EOF) || len(items) > 1 {
		t.Fatalf("Claim of one returned %d items, %v", len(items), err)
	}
	for _, it := range items {
		x.testAck(t, s, it)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, "Claim with a context that has ended", func() { _, _ = s.Claim(ctx, 1) })
}

func (x *exercise) testAck(t *testing.T, s pipeline.Source, it *pipeline.Item) {
	t.Helper()
	if it.Attempt < 1 || it.ID == "" {
		t.Errorf("a claimed item has the id %q and the attempt %d", it.ID, it.Attempt)
	}
	stale := *it
	stale.Token--
	if s.Lease() > 0 {
		if err := s.Ack(t.Context(), &stale, pipeline.Outcome{Result: pipeline.Succeeded}); !errors.Is(err, pipeline.ErrLeaseLost) {
			t.Errorf("Ack with a stale token: %v, want ErrLeaseLost", err)
		}
	}
	if err := s.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Errorf("Ack: %v", err)
	}
}

func (x *exercise) testDistributor(t *testing.T) {
	d := x.start(t).(pipeline.Distributor)
	n := d.Lanes()
	if n < 1 {
		t.Fatalf("Lanes() = %d", n)
	}
	for range 4 * n {
		p, err := d.Place(x.item(), make([]int, n))
		if err != nil {
			t.Fatalf("Place: %v", err)
		}
		if p.Lane < 0 || p.Lane >= n {
			t.Fatalf("Place gave lane %d of %d", p.Lane, n)
		}
	}
	_ = d.ByPriority()
}
