package mongodb_test

import (
	"fmt"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// TestRoundTrips: what docs/queues.md says that a call costs.
func TestRoundTrips(t *testing.T) {
	w := &wire{}
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true}, mongodb.WithDialer(w), mongodb.WithClock(still))
	mongodb.NoReaper(q)
	var held []*pipeline.Item
	claim := func(n int) func() error {
		return func() error {
			items, err := q.Claim(t.Context(), n)
			if err == nil && len(items) != n {
				err = fmt.Errorf("claimed %d of %d", len(items), n)
			}
			held = append(held, items...)
			return err
		}
	}
	add := func(items ...pipeline.NewItem) func() error {
		return func() error { _, err := q.Enqueue(t.Context(), items); return err }
	}
	// last takes the item that was claimed last.
	last := func() *pipeline.Item {
		it := held[len(held)-1]
		held = held[:len(held)-1]
		return it
	}
	ack := func() error { return q.Ack(t.Context(), last(), pipeline.Outcome{Result: pipeline.Succeeded}) }
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"enqueue", add(pipeline.NewItem{}), 2},
		{"enqueue with an id", add(pipeline.NewItem{ID: "a"}), 3},
		{"enqueue with an id and an idempotency key", add(pipeline.NewItem{ID: "b", IdempotencyKey: "b"}), 4},
		{"enqueue of a duplicate", add(pipeline.NewItem{IdempotencyKey: "b"}), 1},
		{"enqueue of four", add(make([]pipeline.NewItem, 4)...), 5},
		{"claim of one", claim(1), 2},
		{"claim of three", claim(3), 4},
		{"renew", func() error { _, err := q.Renew(t.Context(), held); return err }, 1},
		{"ack", ack, 1},
		{"nack", func() error { return q.Nack(t.Context(), last(), pipeline.Release{}) }, 1},
		{"enqueue with a key", add(pipeline.NewItem{Key: "k", Priority: 9}), 4},
		{"enqueue behind it", add(pipeline.NewItem{Key: "k", Priority: 9}), 4},
		{"claim of a key's first", claim(1), 2},
		{"ack with a key", ack, 3},
		{"claim of a key's last", claim(1), 2},
		{"ack of a key's last", ack, 3},
		{"enqueue of sixty with keys", add(keyed(60)...), 8},
	} {
		w.arm(0, false)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := w.trips(); got != step.want {
			t.Errorf("%s: %d round trips, want %d", step.name, got, step.want)
		}
	}
}

// keyed are items of as many keys.
func keyed(n int) []pipeline.NewItem {
	items := make([]pipeline.NewItem, n)
	for i := range items {
		items[i].Key = fmt.Sprint("key", i)
	}
	return items
}
