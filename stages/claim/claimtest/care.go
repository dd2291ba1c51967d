package claimtest

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func drop(b *bench) {
	b.enqueue(numbered("i", 5, pipeline.NewItem{})...)
	items := b.claim(3)
	b.ack(items[0], pipeline.Succeeded)
	b.ack(items[1], pipeline.Dead)
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{State: pipeline.StateLeased}); n != 0 || err != nil {
		b.Errorf("dropped %d leased items, error %v", n, err)
	}
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{IDs: []string{"i0", "i2", "i3", "absent"}}); n != 2 || err != nil {
		b.Errorf("dropped %d, error %v; want i0 and i3", n, err)
	}
	b.wantStats(pipeline.QueueStats{Ready: 1, Leased: 1, Dead: 1, Enqueued: 3})
	if _, err := b.q.Show(b.Context(), "i3"); !errors.Is(err, pipeline.ErrNotFound) {
		b.Errorf("showing a dropped item: %v, want ErrNotFound", err)
	}
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{}); n != 2 || err != nil {
		b.Errorf("dropped %d of the rest, error %v; want 2", n, err)
	}
	b.ack(items[2], pipeline.Succeeded)
	b.enqueue(pipeline.NewItem{ID: "i0"}) // the name is free again
}

// idAgain: the tokens of a new item are above those of a dropped one of its
// name.
func idAgain(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	stale := b.one()
	b.nack(stale, pipeline.Release{})
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{}); n != 1 || err != nil {
		b.Fatalf("drop: %d, error %v", n, err)
	}
	b.enqueue(pipeline.NewItem{ID: "a"})
	if live := b.one(); live.Token <= stale.Token {
		b.Errorf("token %d, want it above the dropped item's %d", live.Token, stale.Token)
	}
	b.wantLost("ack of the dropped item", b.q.Ack(b.Context(), stale, pipeline.Outcome{Result: pipeline.Succeeded}))
}

func list(b *bench) {
	b.enqueue(numbered("a", 120, pipeline.NewItem{Body: []byte(`{}`)})...)
	b.enqueue(pipeline.NewItem{ID: "k", Key: "k", Priority: 9, Meta: map[string]string{"m": "1"}})
	b.ack(b.one(), pipeline.Dead)
	for _, tc := range []struct {
		name  string
		f     pipeline.Filter
		n     int
		first string
	}{
		{"all", pipeline.Filter{}, 100, "a0"},
		{"limit", pipeline.Filter{Limit: 3}, 3, "a0"},
		{"beyond 100", pipeline.Filter{Limit: 1000}, 121, "a0"},
		{"state", pipeline.Filter{State: pipeline.StateDead}, 1, "k"},
		{"key", pipeline.Filter{Key: "k"}, 1, "k"},
		{"ids", pipeline.Filter{IDs: []string{"a7", "a3", "none"}}, 2, "a3"},
		{"unknown state", pipeline.Filter{State: "odd"}, 0, ""},
	} {
		got, err := b.q.List(b.Context(), tc.f)
		if err != nil || len(got) != tc.n || tc.n > 0 && got[0].ID != tc.first {
			b.Errorf("%s: %d entries, error %v; want %d from %q", tc.name, len(got), err, tc.n, tc.first)
		}
		for _, e := range got {
			if e.Body != nil || e.History != nil {
				b.Fatalf("%s: %s comes with body or history", tc.name, e.ID)
			}
		}
	}
	if got, _ := b.q.List(b.Context(), pipeline.Filter{Key: "k"}); len(got) == 1 && got[0].Meta["m"] != "1" {
		b.Errorf("listed entry %+v, want its meta", got[0])
	}
	if e := b.show("a5"); string(e.Body) != "{}" || e.Queue != "default" {
		b.Errorf("shown entry %+v, want body and queue", e)
	}
}

func queuesApart(b *bench) {
	other := b.open(pipeline.QueueOptions{Queue: "other"})
	b.enqueue(pipeline.NewItem{ID: "a", IdempotencyKey: "x", Key: "k"})
	mine := b.one()
	got, err := other.Enqueue(b.Context(), []pipeline.NewItem{{ID: "a", IdempotencyKey: "x", Key: "k"}})
	if err != nil || got[0].Duplicate {
		b.Fatalf("the other queue says %+v, error %v", got, err)
	}
	items, err := other.Claim(b.Context(), 5)
	if err != nil || len(items) != 1 || items[0].Queue != "other" {
		b.Fatalf("claimed %d from the other queue, error %v", len(items), err)
	}
	b.ack(mine, pipeline.Succeeded)
	b.wantStats(pipeline.QueueStats{Done: 1, Enqueued: 1})
	if s, err := other.Stats(b.Context()); s.Leased != 1 || err != nil {
		b.Errorf("the other queue's stats %+v, error %v", s, err)
	}
	names, err := b.q.Queues(b.Context())
	slices.Sort(names)
	if d := cmp.Diff([]string{"default", "other"}, names); d != "" || err != nil {
		b.Errorf("queues: error %v (-want +got):\n%s", err, d)
	}
}

func absentQueue(b *bench) {
	q, err := b.store.Open(pipeline.QueueOptions{Queue: "misspelt"})
	if err == nil {
		_ = q.Close()
	}
	if !errors.Is(err, pipeline.ErrNoQueue) {
		b.Fatalf("error %v, want ErrNoQueue", err)
	}
	for _, want := range []string{"misspelt", "default", "waybill enqueue --to"} {
		if !strings.Contains(err.Error(), want) {
			b.Errorf("error %q does not say %q", err, want)
		}
	}
	if names, err := b.q.Queues(b.Context()); slices.Contains(names, "misspelt") || err != nil {
		b.Errorf("asking for a queue made it: %v, error %v", names, err)
	}
}

// reopened: what was there is there, and tokens go on growing.
func reopened(b *bench) {
	b.enqueue(numbered("i", 4, pipeline.NewItem{Body: []byte(`{"n":1}`)})...)
	items := b.claim(3)
	b.ack(items[0], pipeline.Succeeded)
	b.nack(items[1], pipeline.Release{Cause: errors.New("again")})
	before := []pipeline.Entry{b.show("i0"), b.show("i1"), b.show("i2"), b.show("i3")}
	stats := b.stats()
	if err := b.q.Close(); err != nil {
		b.Fatalf("close: %v", err)
	}
	if _, err := b.q.Claim(b.Context(), 1); err == nil {
		b.Error("a closed queue hands out items")
	}
	b.q = b.open(pipeline.QueueOptions{})
	for _, want := range before {
		if d := cmp.Diff(want, b.show(want.ID)); d != "" {
			b.Errorf("%s changed (-before +after):\n%s", want.ID, d)
		}
	}
	b.wantStats(stats)
	if err := b.q.Ack(b.Context(), items[2], pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		b.Errorf("a lease ended with the connection it was made on: %v", err)
	}
	if again := b.one(); again.ID != "i1" || again.Token <= items[1].Token {
		b.Errorf("claimed %s with token %d after %d", again.ID, again.Token, items[1].Token)
	}
}
