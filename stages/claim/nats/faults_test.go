package nats_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// pair is two processes' queues on one server, with one clock.
func pair(t *testing.T) (a, b *nats.Queue, c *clock) {
	url := startServer(t, t.TempDir()).ClientURL()
	c = &clock{now: time.Now()}
	d := nats.Driver(nats.WithClock(c.Now))
	return openWith(t, d, url, pipeline.QueueOptions{Create: true}), openWith(t, d, url, pipeline.QueueOptions{}), c
}

var two = []pipeline.NewItem{{ID: "one", IdempotencyKey: "x"}, {ID: "two"}}

// TestTornEnqueue: the enqueuer dies between two messages of one call. Nobody
// sees any of it, the reaper undoes it, and the names are free again.
func TestTornEnqueue(t *testing.T) {
	dying, other, c := pair(t)
	if _, err := nats.Begin(t.Context(), dying, two); err != nil {
		t.Fatal(err)
	}
	if s, err := other.Stats(t.Context()); err != nil || s.Enqueued != 0 {
		t.Fatalf("half a call counts: %+v, error %v", s, err)
	}
	if items, err := other.Claim(t.Context(), 5); err != nil || len(items) != 0 {
		t.Fatalf("claimed %d items of half a call, error %v", len(items), err)
	}
	c.Advance(2 * time.Minute)
	if _, err := other.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Enqueue(t.Context(), two); err != nil || got[0].Duplicate {
		t.Fatalf("after the undo: %+v, error %v", got, err)
	}
	for _, q := range []*nats.Queue{dying, other} {
		if s, err := q.Stats(t.Context()); err != nil || s.Ready != 2 || s.Enqueued != 2 {
			t.Errorf("stats %+v, error %v", s, err)
		}
	}
}

// TestLateCommit: whoever wants the same names undoes a call that takes too long;
// its own decision then comes too late, and says so.
func TestLateCommit(t *testing.T) {
	slow, other, c := pair(t)
	batch, err := nats.Begin(t.Context(), slow, two)
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(6 * time.Second)
	if got, err := other.Enqueue(t.Context(), two[:1]); err != nil || got[0].Duplicate {
		t.Fatalf("%+v, error %v: want the key, the other call has not happened", got, err)
	}
	if err := nats.Commit(t.Context(), slow, batch); err == nil {
		t.Fatal("a call that was undone was committed")
	}
	for _, q := range []*nats.Queue{slow, other} {
		entries, err := q.List(t.Context(), pipeline.Filter{})
		if err != nil || len(entries) != 1 || entries[0].ID != "one" {
			t.Errorf("entries %+v, error %v", entries, err)
		}
	}
}

// TestCommittedIsWhole: a decision in time makes all items of a call appear at
// once, also for who reads the stream from its beginning.
func TestCommittedIsWhole(t *testing.T) {
	a, b, _ := pair(t)
	batch, err := nats.Begin(t.Context(), a, two)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Enqueue(t.Context(), []pipeline.NewItem{{ID: "three"}}); err != nil {
		t.Fatal(err)
	}
	if err := nats.Commit(t.Context(), b, batch); err != nil {
		t.Fatal(err)
	}
	items, err := b.Claim(t.Context(), 5)
	if err != nil || fmt.Sprint(names(items)) != "[one two three]" {
		t.Fatalf("claimed %v, error %v", names(items), err)
	}
	if s, err := a.Stats(t.Context()); err != nil || s.Leased != 3 {
		t.Errorf("stats %+v, error %v", s, err)
	}
}

func names(items []*pipeline.Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.ID)
	}
	return out
}

// TestKeysAcrossProcesses: the order of a key does not rest on what one process
// knows. Items go back and forth, so that older ones become ready again.
func TestKeysAcrossProcesses(t *testing.T) {
	a, b, _ := pair(t)
	const items, keys = 60, 3
	var all []pipeline.NewItem
	for i := range items {
		all = append(all, pipeline.NewItem{ID: fmt.Sprintf("%03d", i), Key: fmt.Sprint(i % keys), Body: []byte(`{"n":1}`)})
	}
	if _, err := a.Enqueue(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	e := newEnds()
	var mu sync.Mutex
	running := map[string]string{}
	var wg sync.WaitGroup
	for w := range 6 {
		q := []*nats.Queue{a, b}[w%2]
		wg.Go(func() {
			for n := w; ; n++ {
				got, err := q.Claim(t.Context(), 1)
				if err != nil {
					t.Error(err)
					return
				}
				if len(got) == 0 {
					if left, _, err := q.Pending(t.Context()); left == 0 || err != nil {
						return
					}
					continue
				}
				it := got[0]
				mu.Lock()
				if other := running[it.Key]; other != "" {
					t.Errorf("%s runs while %s of its key does", it.ID, other)
				}
				running[it.Key] = it.ID
				mu.Unlock()
				mu.Lock()
				delete(running, it.Key)
				mu.Unlock()
				if n%3 == 0 {
					err = q.Nack(t.Context(), it, pipeline.Release{})
				} else {
					e.add(it)
					err = q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.check(t, items)
}

// TestIDAcrossProcesses: an id that one process dropped, with everything that was
// of it deleted, is free for another that still thinks of the old messages.
func TestIDAcrossProcesses(t *testing.T) {
	a, b, _ := pair(t)
	for range 3 {
		first := mustEnqueue(t, a, pipeline.NewItem{ID: "a", IdempotencyKey: "x"})
		items, err := b.Claim(t.Context(), 1)
		if err != nil || len(items) != 1 {
			t.Fatalf("claimed %d of %v, error %v", len(items), first, err)
		}
		if err := b.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Dead}); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Drop(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
			t.Fatalf("dropped %d, error %v", n, err)
		}
		mustEnqueue(t, b, pipeline.NewItem{ID: "other"}) // the last message always stays
		nats.Bury(t.Context(), a)
		again := mustEnqueue(t, b, pipeline.NewItem{ID: "a", IdempotencyKey: "x"})
		if again[0].Duplicate {
			t.Fatal("a dropped item still has its idempotency key")
		}
		items, err = a.Claim(t.Context(), 1)
		if err != nil || len(items) != 1 {
			t.Fatalf("claimed %d, error %v", len(items), err)
		}
		if err := a.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Drop(t.Context(), pipeline.Filter{}); n != 2 || err != nil {
			t.Fatalf("dropped %d, error %v; want a and other", n, err)
		}
	}
}

// TestEnqueueReadsOn: what keeps an enqueue from adding an item may be over, and
// the process that enqueues has not heard of it.
func TestEnqueueReadsOn(t *testing.T) {
	a, b, _ := pair(t)
	active := pipeline.NewItem{ID: "a", IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive}
	mustEnqueue(t, a, active)
	items, err := b.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	if _, err := a.Stats(t.Context()); err != nil { // it knows of the lease
		t.Fatal(err)
	}
	nats.Deafen(a)
	if err := b.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Fatal(err)
	}
	if got := mustEnqueue(t, a, pipeline.NewItem{ID: "next", IdempotencyKey: "x"}); got[0].Duplicate {
		t.Error("the key of an item that has ended is still known")
	}
	nats.Deafen(a)
	if _, err := b.Drop(t.Context(), pipeline.Filter{IDs: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}}); err != nil {
		t.Errorf("the id of a dropped item: %v", err)
	}
}

// TestNothingIsLeft: dropping everything empties the stream, but for its end.
func TestNothingIsLeft(t *testing.T) {
	a, _, _ := pair(t)
	mustEnqueue(t, a, pipeline.NewItem{ID: "a", IdempotencyKey: "x"}, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{})
	if n, err := a.Drop(t.Context(), pipeline.Filter{}); n != 3 || err != nil {
		t.Fatalf("dropped %d, error %v", n, err)
	}
	mustEnqueue(t, a, pipeline.NewItem{ID: "last"})
	nats.Bury(t.Context(), a)
	s, err := nats.Stream(t.Context(), a)
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("%d messages are left, error %v; want that of the last item", s.CachedInfo().State.Msgs, err)
	}
}

func mustEnqueue(t *testing.T, q *nats.Queue, items ...pipeline.NewItem) []pipeline.Enqueued {
	t.Helper()
	got, err := q.Enqueue(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestDamagedItem: what cannot be read comes condemned, and counts no attempt.
func TestDamagedItem(t *testing.T) {
	a, _, _ := pair(t)
	mustEnqueue(t, a, pipeline.NewItem{ID: "a", Body: []byte(`1`)})
	s, err := nats.Stream(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	mustEnqueue(t, a, pipeline.NewItem{ID: "b"})
	if err := s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq); err != nil {
		t.Fatal(err)
	}
	items, err := a.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 || pipeline.CodeOf(items[0].Condemned) != "unreadable" || items[0].Attempt != 0 {
		t.Fatalf("claimed %+v, error %v", items, err)
	}
	if err := a.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Dead, Cause: items[0].Condemned}); err != nil {
		t.Fatal(err)
	}
}

// TestLeaderIsAsked: what one node does not have, the leader may.
func TestLeaderIsAsked(t *testing.T) {
	a, _, _ := pair(t)
	mustEnqueue(t, a, pipeline.NewItem{ID: "a", Body: []byte(`{"n":1}`)})
	data, err := nats.LoadFromLeader(t.Context(), a, 1)
	if string(data) != `{"n":1}` || err != nil {
		t.Errorf("%q, error %v", data, err)
	}
	if _, err := nats.LoadFromLeader(t.Context(), a, 99); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("error %v, want ErrMsgNotFound", err)
	}
}

// TestForeignStream: a stream that loses messages by itself, or is not ours, is
// refused before anything is written.
func TestForeignStream(t *testing.T) {
	url := startServer(t, t.TempDir()).ClientURL()
	js := nats.JetStream(mustOpen(t, url, pipeline.QueueOptions{Create: true}))
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"foreign":   func(c *jetstream.StreamConfig) { c.Metadata = nil },
		"in-memory": func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"ageing":    func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"bounded":   func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 },
		"history":   func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 },
	} {
		cfg := jetstream.StreamConfig{Name: "waybill-" + name, Subjects: []string{"waybill." + name + ".>"}, Metadata: map[string]string{"waybill.queue": name},
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew}
		change(&cfg)
		if _, err := js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := open(nats.Driver(), url, pipeline.QueueOptions{Queue: name, Create: true}); pipeline.CodeOf(err) != "bad-stream" {
			t.Errorf("%s: error %v, want bad-stream", name, err)
		}
	}
	if _, err := open(nats.Driver(), url+"?replicas=3", pipeline.QueueOptions{}); pipeline.CodeOf(err) != "bad-stream" {
		t.Errorf("other replicas: error %v, want bad-stream", err)
	}
}

// TestClosedQueue: a closed queue refuses everything and says so.
func TestClosedQueue(t *testing.T) {
	q := mustOpen(t, startServer(t, t.TempDir()).ClientURL(), pipeline.QueueOptions{Create: true})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	_, claim := q.Claim(context.Background(), 1)
	_, enqueue := q.Enqueue(context.Background(), []pipeline.NewItem{{}})
	_, _, pending := q.Pending(context.Background())
	for _, err := range []error{claim, enqueue, pending, q.Ack(context.Background(), &pipeline.Item{}, pipeline.Outcome{Result: pipeline.Succeeded})} {
		if pipeline.CodeOf(err) != "closed" || !strings.Contains(err.Error(), "closed") {
			t.Errorf("error %v, want closed", err)
		}
	}
	if errors.Join(q.Close()) != nil {
		t.Error("closing twice is an error")
	}
}
