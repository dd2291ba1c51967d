package nats_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestPauseOvertakesClaim: a process decides to claim, the queue is paused by
// another one, and only then is the claim written. It never reaches a worker, and
// leaves no trace but its token.
func TestPauseOvertakesClaim(t *testing.T) {
	url := startServer(t, t.TempDir()).ClientURL()
	other := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	var armed atomic.Bool
	var asked atomic.Int64
	slow := openWith(t, nats.Driver(nats.WithClock(func() time.Time {
		// The second question for the time is that of the decision. The process
		// reads nothing while it decides.
		if armed.Load() && asked.Add(1) == 2 {
			if err := other.Pause(t.Context(), true); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	})), url, pipeline.QueueOptions{})
	mustEnqueue(t, slow, pipeline.NewItem{ID: "a", MaxAttempts: 1})
	armed.Store(true)
	if items, err := slow.Claim(t.Context(), 1); len(items) != 0 || err != nil {
		t.Fatalf("claimed %v from a paused queue, error %v", names(items), err)
	}
	e, err := other.Show(t.Context(), "a")
	if err != nil || e.State != pipeline.StateReady || e.Attempts != 0 || len(e.History) != 0 {
		t.Errorf("the item stands as %+v, error %v; want it untouched", e, err)
	}
	if e.Token == 0 {
		t.Error("the claim was not written: this test tests nothing")
	}
}

// TestLateMove: a reaper finishes a move whose process was slow; when that goes on
// it finds the decision made, and begins anew.
func TestLateMove(t *testing.T) {
	a, b, c := pair(t)
	mustEnqueue(t, a, pipeline.NewItem{ID: "k1", Key: "k", IdempotencyKey: "x"}, pipeline.NewItem{ID: "k2", Key: "k"})
	journey, err := nats.Depart(t.Context(), a, "other", "k1")
	if err != nil {
		t.Fatal(err)
	}
	if items, err := b.Claim(t.Context(), 5); len(items) != 0 || err != nil {
		t.Fatalf("claimed %v: k1 is on its way, and goes before k2; error %v", names(items), err)
	}
	for what, call := range map[string]func() (int, error){
		"dropped":   func() (int, error) { return b.Drop(t.Context(), pipeline.Filter{IDs: []string{"k1"}}) },
		"cancelled": func() (int, error) { return b.Cancel(t.Context(), pipeline.Filter{IDs: []string{"k1"}}) },
	} {
		if n, err := call(); n != 0 || err != nil {
			t.Errorf("%s %d items that are on their way, error %v", what, n, err)
		}
	}
	c.Advance(2 * time.Minute)
	if _, err := b.Reap(t.Context()); err == nil {
		t.Error("a queue that is not there decides about a move")
	}
	mustOpen(t, nats.URL(a), pipeline.QueueOptions{Queue: "other", Create: true})
	if _, err := b.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := journey(t.Context()); there || err != nil {
		t.Fatalf("the late process finds its move done: %v, error %v", there, err)
	}
	if n, err := a.Move(t.Context(), pipeline.Filter{}, "other"); n != 2 || err != nil {
		t.Fatalf("moved %d, error %v; want both", n, err)
	}
	if s, err := b.Stats(t.Context()); s.Enqueued != 0 || err != nil {
		t.Errorf("what is left: %+v, error %v", s, err)
	}
}

// TestMoveMeetsClaim: what was claimed while a move began stays where it is.
func TestMoveMeetsClaim(t *testing.T) {
	a, b, _ := pair(t)
	mustEnqueue(t, a, pipeline.NewItem{ID: "a"})
	held := claimAll(t, b, "a")
	if _, err := a.Stats(t.Context()); err != nil { // reads up to here
		t.Fatal(err)
	}
	if _, err := nats.Depart(t.Context(), a, "other", "a"); err != nil {
		t.Fatal(err)
	}
	if err := b.Ack(t.Context(), held, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Drop(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
		t.Errorf("dropped %d, error %v: it is on no journey", n, err)
	}
}

// TestMoveBySlices: more items than one slice, in their order.
func TestMoveBySlices(t *testing.T) {
	a, _, _ := pair(t)
	const n = 1100
	var all []pipeline.NewItem
	for i := range n {
		all = append(all, pipeline.NewItem{ID: fmt.Sprintf("%04d", i), Body: []byte(`1`)})
	}
	mustEnqueue(t, a, all...)
	if moved, err := a.Move(t.Context(), pipeline.Filter{}, "other"); moved != n || err != nil {
		t.Fatalf("moved %d, error %v", moved, err)
	}
	other := mustOpen(t, nats.URL(a), pipeline.QueueOptions{Queue: "other"})
	entries, err := other.List(t.Context(), pipeline.Filter{Limit: 2 * n})
	if err != nil || len(entries) != n {
		t.Fatalf("%d entries, error %v", len(entries), err)
	}
	for i, e := range entries {
		if e.ID != all[i].ID {
			t.Fatalf("%s stands at %d", e.ID, i)
		}
	}
	if items, err := other.Claim(t.Context(), 1); err != nil || string(items[0].Input) != "1" {
		t.Errorf("claimed %+v, error %v", items, err)
	}
}

// TestTokensAfterImport: a claim's token is above those that were imported, also
// for an id that was dropped and used again, in every process.
func TestTokensAfterImport(t *testing.T) {
	a, b, _ := pair(t)
	const high = 1 << 40
	if n, err := a.Import(t.Context(), []pipeline.Entry{{ID: "x", State: pipeline.StateReady, Token: high}}); n != 1 || err != nil {
		t.Fatalf("imported %d, error %v", n, err)
	}
	last := int64(high)
	for i := range 4 {
		q := []*nats.Queue{a, b}[i%2]
		items, err := q.Claim(t.Context(), 1)
		if err != nil || len(items) != 1 || items[0].Token <= last {
			t.Fatalf("claimed %+v after the token %d, error %v", items, last, err)
		}
		last = items[0].Token
		giveBack(t, q, items[0])
		if i == 1 {
			drop(t, a, "x")
			mustEnqueue(t, b, pipeline.NewItem{ID: "x"})
		}
	}
	if _, err := a.Import(t.Context(), []pipeline.Entry{{ID: "y", State: pipeline.StateReady, Token: 1<<62 + 1}}); pipeline.CodeOf(err) != "bad-entry" {
		t.Errorf("a token without room above it: error %v", err)
	}
}

// TestUndoneKey: a call that wants a free idempotency key and dies leaves it to
// the item that had it before, for every reader.
func TestUndoneKey(t *testing.T) {
	a, b, c := pair(t)
	work := func(id string) pipeline.NewItem {
		return pipeline.NewItem{ID: id, IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive}
	}
	mustEnqueue(t, a, work("first"))
	items, err := a.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	if err := a.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Dead}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stats(t.Context()); err != nil { // reads up to here
		t.Fatal(err)
	}
	if _, err := nats.Begin(t.Context(), b, []pipeline.NewItem{work("torn")}); err != nil {
		t.Fatal(err)
	}
	c.Advance(2 * time.Minute)
	if _, err := a.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	retry(t, a, "first")
	if _, err := a.Compact(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if s, err := nats.Stream(t.Context(), a); err == nil {
		_, err = s.GetLastMsgForSubject(t.Context(), "waybill.default.idem.x")
		if err != nil {
			t.Errorf("the key's last message: %v; a process that knows nothing of it must not find its subject empty", err)
		}
	}
	late := mustOpen(t, nats.URL(a), pipeline.QueueOptions{})
	for _, q := range []*nats.Queue{b, late} {
		if got := mustEnqueue(t, q, work("second")); !got[0].Duplicate || got[0].ID != "first" {
			t.Errorf("%+v, want the first item: it is ready again", got)
		}
	}
}

// TestKeyTakenBack: a dead item has lost its idempotency key, and is retried. A
// process that has not read of it yet must not give the key to another.
func TestKeyTakenBack(t *testing.T) {
	url := startServer(t, t.TempDir()).ClientURL()
	a := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	planning := make(chan struct{})
	var armed atomic.Bool
	behind := openWith(t, nats.Driver(nats.WithClock(func() time.Time {
		if armed.CompareAndSwap(true, false) {
			close(planning)
		}
		return time.Now()
	})), url, pipeline.QueueOptions{})
	work := pipeline.NewItem{ID: "first", IdempotencyKey: "x", IdempotencyScope: pipeline.ScopeActive}
	mustEnqueue(t, a, work)
	items, err := behind.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	if err := behind.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Dead}); err != nil {
		t.Fatal(err)
	}
	if _, err := behind.Stats(t.Context()); err != nil { // reads up to here
		t.Fatal(err)
	}
	release := nats.Hold(behind)
	retry(t, a, "first")
	armed.Store(true)
	var got []pipeline.Enqueued
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.ID = "second"
		got, err = behind.Enqueue(t.Context(), []pipeline.NewItem{work})
	}()
	<-planning
	release()
	<-done
	if err != nil || !got[0].Duplicate || got[0].ID != "first" {
		t.Errorf("%+v, error %v; want the first item: it is ready again", got, err)
	}
}

// TestCompactAcrossProcesses: a process that has just begun deletes the tombstones
// of others when their day is over, and not before.
func TestCompactAcrossProcesses(t *testing.T) {
	a, _, c := pair(t)
	body := fmt.Appendf(nil, "%q", strings.Repeat("x", 1000))
	mustEnqueue(t, a, pipeline.NewItem{ID: "old", Body: body, IdempotencyKey: "x"}, pipeline.NewItem{ID: "waits"})
	items, err := a.Claim(t.Context(), 1)
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	if err := a.Ack(t.Context(), items[0], pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Fatal(err)
	}
	mustEnqueue(t, a, pipeline.NewItem{ID: "last"})
	for _, step := range []struct {
		wait    time.Duration
		deleted int64
		msgs    uint64
	}{
		{time.Hour - time.Millisecond, 0, 7}, // four items, a key, a decision, and where old stands
		{time.Millisecond, 1, 6},             // four items, the decision, and a tombstone
		{24 * time.Hour, 0, 6},               // five items, and the decision
	} {
		c.Advance(step.wait)
		q := openWith(t, nats.Driver(nats.WithClock(c.Now)), nats.URL(a), pipeline.QueueOptions{})
		got, err := q.Compact(t.Context(), time.Hour)
		if err != nil || got.Deleted != step.deleted || got.Before < got.After || step.deleted > 0 && got.Before-got.After < 1000 {
			t.Errorf("after %v: %+v, error %v; want %d deleted, and their bytes", step.wait, got, err, step.deleted)
		}
		mustEnqueue(t, a, pipeline.NewItem{ID: "last" + step.wait.String()}) // the last message always stays
		if s, err := nats.Stream(t.Context(), a); err != nil || s.CachedInfo().State.Msgs != step.msgs {
			t.Errorf("after %v: %d messages, error %v; want %d", step.wait, s.CachedInfo().State.Msgs, err, step.msgs)
		}
	}
}
