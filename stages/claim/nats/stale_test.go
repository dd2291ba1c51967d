package nats_test

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestStaleDecision: a process decides to claim an item, another one writes, and
// only then does the first. Whatever the other wrote about the item or its key,
// the late write is refused: this is what fencing, single claims and the order of
// keys rest on.
func TestStaleDecision(t *testing.T) {
	for _, tc := range []struct {
		name  string
		claim string // what the first process is about to claim
		other func(t *testing.T, q *nats.Queue)
		held  bool
	}{
		{"nothing happens", "free", func(*testing.T, *nats.Queue) {}, true},
		{"something else happens", "free", func(t *testing.T, q *nats.Queue) { drop(t, q, "k2") }, true},
		{"it is claimed", "free", func(t *testing.T, q *nats.Queue) { claimAll(t, q, "free") }, false},
		{"it is claimed and given back", "free", func(t *testing.T, q *nats.Queue) { giveBack(t, q, claimAll(t, q, "free")) }, false},
		{"it is dropped", "free", func(t *testing.T, q *nats.Queue) { drop(t, q, "free") }, false},
		{"an older one of its key is retried", "k2", func(t *testing.T, q *nats.Queue) { retry(t, q, "k1") }, false},
		{"an older one of its key is retried and runs", "k2", func(t *testing.T, q *nats.Queue) {
			retry(t, q, "k1")
			claimAll(t, q, "k1")
		}, false},
		{"a younger one of its key arrives", "k2", func(t *testing.T, q *nats.Queue) { mustEnqueue(t, q, pipeline.NewItem{ID: "k3", Key: "k"}) }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b, _ := pair(t)
			mustEnqueue(t, b, pipeline.NewItem{ID: "k1", Key: "k", Priority: 9}, pipeline.NewItem{ID: "k2", Key: "k"}, pipeline.NewItem{ID: "free"})
			k1, err := b.Claim(t.Context(), 1)
			if err != nil || len(k1) != 1 || k1[0].ID != "k1" {
				t.Fatalf("claimed %v, error %v", names(k1), err)
			}
			if err := b.Ack(t.Context(), k1[0], pipeline.Outcome{Result: pipeline.Dead}); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Stats(t.Context()); err != nil { // reads up to here
				t.Fatal(err)
			}
			write, err := nats.Propose(a, tc.claim)
			if err != nil {
				t.Fatal(err)
			}
			tc.other(t, b)
			if held, err := write(t.Context()); held != tc.held || err != nil {
				t.Errorf("the late write held: %v, error %v; want %v", held, err, tc.held)
			}
		})
	}
}

// claimAll claims everything that is claimable and returns this item.
func claimAll(t *testing.T, q *nats.Queue, id string) *pipeline.Item {
	t.Helper()
	items, err := q.Claim(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var want *pipeline.Item
	for _, it := range items {
		if it.ID == id {
			want = it
		}
	}
	if want == nil {
		t.Fatalf("claimed %v, want %s", names(items), id)
	}
	return want
}

func giveBack(t *testing.T, q *nats.Queue, it *pipeline.Item) {
	t.Helper()
	if err := q.Nack(t.Context(), it, pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
}

func retry(t *testing.T, q *nats.Queue, id string) {
	t.Helper()
	if n, err := q.Retry(t.Context(), pipeline.Filter{IDs: []string{id}}); n != 1 || err != nil {
		t.Fatalf("retry: %d, error %v", n, err)
	}
}

func drop(t *testing.T, q *nats.Queue, id string) {
	t.Helper()
	if n, err := q.Drop(t.Context(), pipeline.Filter{IDs: []string{id}}); n != 1 || err != nil {
		t.Fatalf("drop: %d, error %v", n, err)
	}
}
