package claimtest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// moved: items go with state, attempts and history to the end of another queue,
// which need not be there before.
func moved(b *bench) {
	tools := b.q
	now := b.show(b.enqueue(pipeline.NewItem{ID: "leased", Priority: 9})[0]).Enqueued
	b.enqueue(pipeline.NewItem{ID: "k1", Key: "k", IdempotencyKey: "x", Body: []byte(`{"n":1}`), Meta: map[string]string{"m": "1"}, Priority: 8},
		pipeline.NewItem{ID: "dead", Priority: 7}, pipeline.NewItem{ID: "done", Priority: 6},
		pipeline.NewItem{ID: "k2", Key: "k"}, pipeline.NewItem{ID: "delayed", NotBefore: now.Add(time.Hour)}, pipeline.NewItem{ID: "stays"})
	items := b.claim(4)
	stale := items[1]
	b.nack(stale, pipeline.Release{Cause: errors.New("again")})
	b.ack(items[2], pipeline.Dead)
	b.ack(items[3], pipeline.Succeeded)

	n, err := tools.Move(b.Context(), pipeline.Filter{IDs: []string{"leased", "k1", "dead", "done", "delayed", "absent"}}, elsewhere)
	if n != 4 || err != nil {
		b.Fatalf("moved %d, error %v; want all but the leased one", n, err)
	}
	b.wantStats(pipeline.QueueStats{Ready: 2, Leased: 1, Enqueued: 3})
	b.wantLost("ack of the moved item", b.q.Ack(b.Context(), stale, pipeline.Outcome{Result: pipeline.Succeeded}))
	there := &bench{T: b.T, store: b.store}
	if there.q, err = b.store.Open(pipeline.QueueOptions{Queue: elsewhere, Lease: Lease}); err != nil {
		b.Fatalf("the other queue was not made: %v", err)
	}
	b.Cleanup(func() { _ = there.q.Close() })
	there.wantStats(pipeline.QueueStats{Ready: 2, Delayed: 1, Done: 1, Dead: 1, Enqueued: 4})
	for id, want := range map[string][]string{"k1": {"retry", "moved"}, "dead": {"dead", "moved"}, "done": {"moved"}, "delayed": {"moved"}} {
		e := there.show(id)
		if d := cmp.Diff(want, whats(e)); d != "" || e.Queue != elsewhere {
			b.Errorf("%s in %s: history (-want +got):\n%s", id, e.Queue, d)
		}
	}
	there.known(pipeline.NewItem{IdempotencyKey: "x"}, "k1")
	b.fresh(pipeline.NewItem{ID: "again", IdempotencyKey: "x", Priority: 0})
	it := there.one()
	if it.ID != "k1" || it.Attempt != 2 || string(it.Input) != `{"n":1}` || it.Meta["m"] != "1" || it.Priority != 8 || it.Queue != elsewhere {
		b.Errorf("claimed %+v from the other queue, want k1 as it was", it)
	}
	if n, err := there.q.Retry(b.Context(), pipeline.Filter{}); n != 1 || err != nil {
		b.Errorf("retried %d dead ones there, error %v", n, err)
	}
	if got := b.one(); got.ID != "k2" {
		b.Errorf("claimed %s, want k2: its key goes on", got.ID)
	}
	if n, err := tools.Move(b.Context(), pipeline.Filter{State: pipeline.StateLeased}, elsewhere); n != 0 || err != nil {
		b.Errorf("moved %d leased items, error %v", n, err)
	}
}

// movedToTheEnd: what is moved stands behind what is there, in its own order.
func movedToTheEnd(b *bench) {
	there := &bench{T: b.T, store: b.store, q: b.open(pipeline.QueueOptions{Queue: elsewhere})}
	b.enqueue(numbered("moved", 3, pipeline.NewItem{Key: "k"})...)
	there.enqueue(numbered("there", 2, pipeline.NewItem{Key: "k"})...)
	if n, err := b.q.Move(b.Context(), pipeline.Filter{}, elsewhere); n != 3 || err != nil {
		b.Fatalf("moved %d, error %v", n, err)
	}
	var got []string
	for range 5 {
		it := there.one()
		got = append(got, it.ID)
		there.ack(it, pipeline.Succeeded)
	}
	if d := cmp.Diff([]string{"there0", "there1", "moved0", "moved1", "moved2"}, got); d != "" {
		b.Errorf("the key's order (-want +got):\n%s", d)
	}
}

// notMoved: names that the other queue has already are an error, and then
// nothing has changed in either.
func notMoved(b *bench) {
	tools := b.q
	there := &bench{T: b.T, store: b.store, q: b.open(pipeline.QueueOptions{Queue: elsewhere})}
	there.enqueue(pipeline.NewItem{ID: "a"}, pipeline.NewItem{ID: "other", IdempotencyKey: "x"})
	b.enqueue(pipeline.NewItem{ID: "before"}, pipeline.NewItem{ID: "a"}, pipeline.NewItem{ID: "b", IdempotencyKey: "x"}, pipeline.NewItem{ID: "after"})
	for _, ids := range [][]string{{"before", "a", "after"}, {"before", "b", "after"}} {
		if n, err := tools.Move(b.Context(), pipeline.Filter{IDs: ids}, elsewhere); n != 0 || err == nil {
			b.Errorf("moved %d of %v, error %v; want an error", n, ids, err)
		}
		b.wantStats(pipeline.QueueStats{Ready: 4, Enqueued: 4})
		there.wantStats(pipeline.QueueStats{Ready: 2, Enqueued: 2})
	}
	got := ids(b.claim(5))
	if slices.Sort(got); !slices.Equal(got, []string{"a", "after", "b", "before"}) {
		b.Errorf("claimable after the refusals: %v", got)
	}
}
