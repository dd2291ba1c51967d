package claimtest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func idempotency(b *bench) {
	first := b.enqueue(pipeline.NewItem{ID: "a", IdempotencyKey: "x"}, pipeline.NewItem{ID: "b", IdempotencyKey: "x"})
	if d := cmp.Diff([]string{"a", "a"}, first); d != "" {
		b.Errorf("one key twice in one call (-want +got):\n%s", d)
	}
	b.ack(b.one(), pipeline.Succeeded)
	b.known(pipeline.NewItem{IdempotencyKey: "x"}, "a")
	b.raceFor(pipeline.NewItem{IdempotencyKey: "y"})
	b.wantStats(pipeline.QueueStats{Ready: 1, Done: 1, Enqueued: 2})
}

// known checks that the item's idempotency key is that of another, by its id.
func (b *bench) known(it pipeline.NewItem, id string) {
	b.Helper()
	got, err := b.q.Enqueue(b.Context(), []pipeline.NewItem{it})
	if d := cmp.Diff([]pipeline.Enqueued{{ID: id, Duplicate: true}}, got); d != "" || err != nil {
		b.Errorf("a known idempotency key: error %v (-want +got):\n%s", err, d)
	}
}

// fresh checks that the item is none that the queue knows.
func (b *bench) fresh(it pipeline.NewItem) {
	b.Helper()
	got, err := b.q.Enqueue(b.Context(), []pipeline.NewItem{it})
	if d := cmp.Diff([]pipeline.Enqueued{{ID: it.ID}}, got); d != "" || err != nil {
		b.Errorf("a free idempotency key: error %v (-want +got):\n%s", err, d)
	}
}

// raceFor lets 8 workers enqueue the same work: one of them adds it.
func (b *bench) raceFor(it pipeline.NewItem) {
	b.Helper()
	var fresh atomic.Int64
	other := b.open(pipeline.QueueOptions{Owner: "racer"})
	err := workers(b.Context(), 8, func(ctx context.Context, w int) error {
		got, err := []pipeline.Queue{b.q, other}[w%2].Enqueue(ctx, []pipeline.NewItem{it})
		if err == nil && !got[0].Duplicate {
			fresh.Add(1)
		}
		return err
	})
	if err != nil || fresh.Load() != 1 {
		b.Errorf("8 racing enqueues made %d items, error %v", fresh.Load(), err)
	}
}

// activeScope: the key is free again once its item has ended.
func activeScope(b *bench) {
	work := func(id string) pipeline.NewItem {
		return pipeline.NewItem{ID: id, IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive}
	}
	id := "w0"
	b.fresh(work(id))
	for i, r := range []pipeline.Result{pipeline.Succeeded, pipeline.Skipped, pipeline.Dropped} {
		b.known(work("no"), id)
		it := b.one()
		b.known(work("no"), id)
		b.nack(it, pipeline.Release{})
		b.known(work("no"), id)
		b.ack(b.one(), r)
		id = "w" + string(rune('1'+i))
		b.fresh(work(id))
	}
	b.ack(b.one(), pipeline.Succeeded)
	b.raceFor(pipeline.NewItem{IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive})
	b.wantStats(pipeline.QueueStats{Ready: 1, Done: 4, Enqueued: 5})
	if _, err := b.q.Enqueue(b.Context(), []pipeline.NewItem{{IdempotencyKey: "x", IdempotencyScope: "forever"}}); err == nil {
		b.Error("an unknown scope was accepted")
	}
}

// retriedScope: a dead item that is retried has its key again, unless another
// has it by then.
func retriedScope(b *bench) {
	work := func(id string) pipeline.NewItem {
		return pipeline.NewItem{ID: id, IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive}
	}
	b.fresh(work("dead"))
	b.ack(b.one(), pipeline.Dead)
	b.fresh(work("other"))
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	b.known(work("no"), "other")
	items := b.claim(2)
	if d := cmp.Diff([]string{"dead", "other"}, ids(items)); d != "" {
		b.Fatalf("claimed (-want +got):\n%s", d)
	}
	b.ack(items[0], pipeline.Succeeded)
	b.known(work("no"), "other")
	b.ack(items[1], pipeline.Succeeded)
	b.fresh(work("third"))

	b.ack(b.one(), pipeline.Dead) // nobody has it meanwhile
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{IDs: []string{"third"}}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	b.known(work("no"), "third")
}

// keyTTL: the key is free that long after its enqueue, in the store's clock,
// whatever has become of the item.
func keyTTL(b *bench) {
	work := func(id string) pipeline.NewItem {
		return pipeline.NewItem{ID: id, IdempotencyKey: "x", IdempotencyTTL: pipeline.Duration(time.Minute)}
	}
	b.fresh(work("first"))
	b.advance(59 * time.Second)
	b.known(work("no"), "first")
	b.advance(time.Second)
	b.fresh(work("second"))
	b.known(pipeline.NewItem{IdempotencyKey: "x"}, "second")
	b.ack(b.one(), pipeline.Succeeded) // the first ends: the key is the second's
	b.known(work("no"), "second")
	b.ack(b.one(), pipeline.Succeeded)
	b.known(work("no"), "second")
	b.advance(time.Minute)
	b.raceFor(work(""))
	active := pipeline.NewItem{ID: "a1", IdempotencyKey: "y", IdempotencyScope: pipeline.ScopeActive, IdempotencyTTL: pipeline.Duration(time.Minute), Priority: 9}
	b.fresh(active)
	b.ack(b.one(), pipeline.Succeeded)
	active.ID = "a2"
	b.fresh(active) // the scope ends the key before its time
	b.advance(time.Minute)
	active.ID = "a3"
	b.fresh(active) // and its time before the scope
}
