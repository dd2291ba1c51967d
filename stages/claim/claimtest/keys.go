package claimtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// keyOrder: the oldest item of a key that has not ended is the only one that
// may run, whatever the others' priorities; while it waits its key waits.
func keyOrder(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a1", Key: "a"}, pipeline.NewItem{ID: "a2", Key: "a", Priority: 9}, pipeline.NewItem{ID: "a3", Key: "a"},
		pipeline.NewItem{ID: "b1", Key: "b"}, pipeline.NewItem{ID: "free"})
	first := b.claim(10)
	if d := cmp.Diff([]string{"a1", "b1", "free"}, ids(first)); d != "" {
		b.Fatalf("a batch has one item of each key (-want +got):\n%s", d)
	}
	b.none()
	b.enqueue(pipeline.NewItem{ID: "a4", Key: "a"}) // an arrival does not pass the turn on
	b.none()
	b.nack(first[0], pipeline.Release{After: time.Minute})
	b.none()
	b.ack(first[1], pipeline.Succeeded)
	b.none()
	b.advance(time.Minute + time.Millisecond)
	first = slices.DeleteFunc(b.claim(10), func(it *pipeline.Item) bool { return it.Key != "a" })
	if d := cmp.Diff([]string{"a1"}, ids(first)); d != "" {
		b.Fatalf("after its delay the key goes on with its oldest (-want +got):\n%s", d)
	}
	b.ack(first[0], pipeline.Dead)
	a2 := b.one()
	if a2.ID != "a2" {
		b.Fatalf("claimed %s, want a2", a2.ID)
	}
	b.advance(Lease)
	if got := slices.DeleteFunc(b.claim(10), func(it *pipeline.Item) bool { return it.Key != "a" }); len(got) != 1 || got[0].ID != "a2" {
		b.Fatalf("claimed %v after the lease expired, want a2", ids(got))
	}
}

// keysUnderLoad lets 8 workers race for 5 keys.
func keysUnderLoad(b *bench) {
	const keys, each = 5, 12
	for i := range each {
		for k := range keys {
			b.enqueue(pipeline.NewItem{ID: fmt.Sprintf("%d-%02d", k, i), Key: fmt.Sprint(k), Priority: (i * 7) % 10})
		}
	}
	var mu sync.Mutex
	running, order := map[string]string{}, map[string][]string{}
	enter := func(it *pipeline.Item) error {
		mu.Lock()
		defer mu.Unlock()
		if other := running[it.Key]; other != "" {
			return fmt.Errorf("%s runs while %s of its key does", it.ID, other)
		}
		running[it.Key] = it.ID
		order[it.Key] = append(order[it.Key], it.ID)
		return nil
	}
	leave := func(it *pipeline.Item) {
		mu.Lock()
		defer mu.Unlock()
		delete(running, it.Key)
	}
	err := workers(b.Context(), 8, func(ctx context.Context, w int) error {
		for {
			items, err := b.q.Claim(ctx, 1+w%2)
			if err != nil {
				return err
			}
			if len(items) == 0 {
				if n, _, err := b.q.Pending(ctx); n == 0 || err != nil {
					return err
				}
			}
			for _, it := range items {
				if err := enter(it); err != nil {
					return err
				}
				leave(it)
				if err := b.q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
					return err
				}
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	for key, got := range order {
		if len(got) != each || !slices.IsSorted(got) {
			b.Errorf("key %s ran as %v", key, got)
		}
	}
	b.wantStats(pipeline.QueueStats{Done: keys * each, Enqueued: keys * each})
}

// keysAfterRepair: a retried or dropped item changes whose turn it is.
func keysAfterRepair(b *bench) {
	b.enqueue(numbered("k", 4, pipeline.NewItem{Key: "k"})...)
	b.ack(b.one(), pipeline.Dead)
	b.ack(b.one(), pipeline.Succeeded)
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{Key: "k"}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	k0 := b.one()
	if k0.ID != "k0" {
		b.Fatalf("claimed %s, want the retried k0: it is the oldest", k0.ID)
	}
	b.ack(k0, pipeline.Dead)
	k2 := b.one()
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	b.none() // k2 runs
	b.nack(k2, pipeline.Release{})
	if got := b.one(); got.ID != "k0" {
		b.Fatalf("claimed %s, want k0", got.ID)
	} else {
		b.nack(got, pipeline.Release{After: time.Hour})
	}
	b.none()
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{IDs: []string{"k0"}}); n != 1 || err != nil {
		b.Fatalf("drop: %d, error %v", n, err)
	}
	if got := b.one(); got.ID != "k2" {
		b.Fatalf("claimed %s, want k2: k0 was dropped", got.ID)
	}
}
