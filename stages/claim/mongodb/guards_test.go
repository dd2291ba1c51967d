package mongodb_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

func claimOne(t *testing.T, q pipeline.Queue, n int) *pipeline.Item {
	t.Helper()
	items, err := q.Claim(t.Context(), n)
	if err != nil || len(items) != 1 {
		t.Fatalf("claimed %d, error %v; want one item", len(items), err)
	}
	return items[0]
}

// TestUndoneClaim: a failover undoes a claim that no majority had, and the next
// one gets its number. The first worker must not be taken for the second.
func TestUndoneClaim(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	first := claimOne(t, q, 1)
	mongodb.UndoClaim(t, url, "default/a")
	second := claimOne(t, q, 1)
	if first.Attempt != second.Attempt || first.Token == second.Token {
		t.Errorf("attempts %d and %d, tokens %d and %d", first.Attempt, second.Attempt, first.Token, second.Token)
	}
	if err := q.Ack(t.Context(), first, pipeline.Outcome{Result: pipeline.Succeeded}); !errors.Is(err, pipeline.ErrLeaseLost) {
		t.Errorf("ack of the undone claim: %v", err)
	}
	if err := q.Ack(t.Context(), second, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Error(err)
	}
}

// TestTokensGrowOverDrops: not only by chance, which the salt would do half of
// the time.
func TestTokensGrowOverDrops(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	last := int64(0)
	for range 12 {
		if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}}); err != nil {
			t.Fatal(err)
		}
		it := claimOne(t, q, 1)
		if it.Token <= last {
			t.Fatalf("token %d after %d", it.Token, last)
		}
		last = it.Token
		if err := q.Nack(t.Context(), it, pipeline.Release{}); err != nil {
			t.Fatal(err)
		}
		if n, err := q.Drop(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
			t.Fatalf("dropped %d, error %v", n, err)
		}
	}
}

// TestTokensGrowOverMoves: nor when the item of that id went to another queue.
func TestTokensGrowOverMoves(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	other := mustOpen(t, url, pipeline.QueueOptions{Create: true, Queue: "other"})
	last := int64(0)
	for range 12 {
		enqueue(t, q, pipeline.NewItem{ID: "a"})
		it := claimOne(t, q, 1)
		if it.Token <= last {
			t.Fatalf("token %d after %d", it.Token, last)
		}
		last = it.Token
		if err := q.Nack(t.Context(), it, pipeline.Release{}); err != nil {
			t.Fatal(err)
		}
		if n, err := q.Move(t.Context(), pipeline.Filter{}, "other"); n != 1 || err != nil {
			t.Fatalf("moved %d, error %v", n, err)
		}
		if n, err := other.Drop(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
			t.Fatalf("dropped %d, error %v", n, err)
		}
	}
}

// TestClaimsCross: between the look and the write of one claim another takes
// what was seen, in each way in which an item can be taken.
func TestClaimsCross(t *testing.T) {
	for name, tc := range map[string]struct {
		item pipeline.NewItem
		take func(t *testing.T, q *mongodb.Queue, c *clock)
		want int
	}{
		"plain":     {pipeline.NewItem{}, func(t *testing.T, q *mongodb.Queue, _ *clock) { claimOne(t, q, 2) }, 0},
		"condemned": {pipeline.NewItem{Deadline: time.Now().Add(-time.Hour)}, func(t *testing.T, q *mongodb.Queue, _ *clock) { claimOne(t, q, 2) }, 0},
		"ended": {pipeline.NewItem{Deadline: time.Now().Add(-time.Hour)}, func(t *testing.T, q *mongodb.Queue, _ *clock) {
			if err := q.Ack(t.Context(), claimOne(t, q, 2), pipeline.Outcome{Result: pipeline.Dead}); err != nil {
				t.Error(err)
			}
		}, 0},
		// The loser finds it on its second look.
		"expired again": {pipeline.NewItem{MaxAttempts: 1}, func(t *testing.T, q *mongodb.Queue, c *clock) {
			claimOne(t, q, 1)
			c.Advance(time.Minute)
			if n, err := q.Reap(t.Context()); n != 1 || err != nil {
				t.Errorf("reaped %d, error %v", n, err)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			url, c, w := emptyStore(t), &clock{now: time.Now()}, &wire{}
			winner := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithClock(c.Now))
			loser := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithClock(c.Now), mongodb.WithDialer(w))
			if _, err := winner.Enqueue(t.Context(), []pipeline.NewItem{tc.item}); err != nil {
				t.Fatal(err)
			}
			w.before(1, func() { tc.take(t, winner, c) })
			items, err := loser.Claim(t.Context(), 2)
			if err != nil || len(items) != tc.want {
				t.Fatalf("the loser got %d items, error %v; want %d", len(items), err, tc.want)
			}
			if len(items) == 1 && pipeline.CodeOf(items[0].Condemned) != pipeline.CodeAttemptsExhausted {
				t.Errorf("an item that has no attempt left came without a word: %v", items[0].Condemned)
			}
		})
	}
}

// TestReapSparesRenewed: between the reaper's look and its write the lease is
// renewed.
func TestReapSparesRenewed(t *testing.T) {
	url, c, w := emptyStore(t), &clock{now: time.Now()}, &wire{}
	holder := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithClock(c.Now))
	other := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithClock(c.Now), mongodb.WithDialer(w))
	if _, err := holder.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a", Key: "k"}}); err != nil {
		t.Fatal(err)
	}
	it := claimOne(t, holder, 1)
	c.Advance(time.Minute)
	w.before(1, func() {
		if lost, err := holder.Renew(t.Context(), []*pipeline.Item{it}); len(lost) != 0 || err != nil {
			t.Errorf("renewal lost %d, error %v", len(lost), err)
		}
	})
	if _, err := other.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := holder.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Errorf("a renewed lease was taken: %v", err)
	}
}

// TestMoveMeetsEnqueue: between the look at the other queue and the write to it
// somebody enqueues the id there. Nothing is moved, and what was frozen goes on as
// before.
func TestMoveMeetsEnqueue(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithDialer(w))
	other := mustOpen(t, url, pipeline.QueueOptions{Create: true, Queue: "other"})
	enqueue(t, q, pipeline.NewItem{ID: "a", Key: "k"}, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{ID: "c"})
	w.before(4, func() { enqueue(t, other, pipeline.NewItem{ID: "b"}) }) // frozen, queue, number, copies
	if n, err := q.Move(t.Context(), pipeline.Filter{}, "other"); n != 0 || pipeline.CodeOf(err) != "duplicate-id" {
		t.Fatalf("moved %d, error %v; want duplicate-id", n, err)
	}
	if s, err := other.Stats(t.Context()); s.Enqueued != 1 || err != nil {
		t.Errorf("the other queue has %+v, error %v", s, err)
	}
	for _, want := range []string{"a", "b", "c"} {
		it := claimOne(t, q, 1)
		if it.ID != want && want != "c" {
			t.Errorf("claimed %s, want %s", it.ID, want)
		}
		if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Error(err)
		}
	}
}

// TestFrozen: while a move is not decided, nobody claims, retries, drops or cancels
// what it has frozen, and no younger item of a frozen key is claimed. All of it is
// still counted.
func TestFrozen(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	mover := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithDialer(w))
	enqueue(t, q, pipeline.NewItem{ID: "dead"})
	if err := q.Ack(t.Context(), claimOne(t, q, 1), pipeline.Outcome{Result: pipeline.Dead}); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, pipeline.NewItem{ID: "a", Key: "k"}, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{ID: "c"}, pipeline.NewItem{ID: "d", Key: "l"})
	held := claimOne(t, q, 1) // a; b is frozen behind it
	w.before(2, func() {      // frozen, and not yet copied
		if err := q.Ack(t.Context(), held, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Error(err)
		}
		enqueue(t, q, pipeline.NewItem{ID: "younger", Key: "k"}, pipeline.NewItem{ID: "youngest", Key: "l"})
		if items, err := q.Claim(t.Context(), 5); len(items) != 0 || err != nil {
			t.Errorf("claimed %d in the middle of a move, first %s, error %v", len(items), items[0].ID, err)
		}
		for name, change := range map[string]func(context.Context, pipeline.Filter) (int, error){"retry": q.Retry, "drop": q.Drop, "cancel": q.Cancel} {
			if n, err := change(t.Context(), pipeline.Filter{IDs: []string{"b", "c", "d", "dead"}}); n != 0 || err != nil {
				t.Errorf("%s in the middle of a move: %d, error %v", name, n, err)
			}
		}
		if s, err := q.Stats(t.Context()); s.Ready != 5 || s.Dead != 1 || s.Done != 1 || err != nil {
			t.Errorf("in the middle of a move %+v, error %v", s, err)
		}
	})
	if n, err := mover.Move(t.Context(), pipeline.Filter{IDs: []string{"b", "c", "d", "dead"}}, "other"); n != 4 || err != nil {
		t.Fatalf("moved %d, error %v", n, err)
	}
	items, err := q.Claim(t.Context(), 5)
	if err != nil || len(items) != 2 {
		t.Errorf("claimed %d after the move, error %v; want both of the frozen keys", len(items), err)
	}
	if s, err := q.Stats(t.Context()); s.Leased != 2 || s.Done != 1 || s.Enqueued != 3 || err != nil {
		t.Errorf("after the move %+v, error %v", s, err)
	}
}

// TestMoveSparesClaimed: between the look and the write of a move an item is
// claimed. It stays its worker's, and the others go.
func TestMoveSparesClaimed(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	mover := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithDialer(w))
	enqueue(t, q, pipeline.NewItem{ID: "a", Key: "k"}, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{ID: "c", Key: "k"})
	var it *pipeline.Item
	w.before(1, func() { it = claimOne(t, q, 1) })
	if n, err := mover.Move(t.Context(), pipeline.Filter{IDs: []string{"a", "b"}}, "other"); n != 1 || err != nil {
		t.Fatalf("moved %d, error %v; want b", n, err)
	}
	if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Error(err)
	}
	if next := claimOne(t, q, 1); next.ID != "c" {
		t.Errorf("claimed %s after a, want c: b has gone", next.ID)
	}
}

// TestCancelMeetsClaim: between the look and the write of a cancel the item is
// claimed. It is cancelled all the same, and its worker loses it.
func TestCancelMeetsClaim(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	operator := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithDialer(w))
	enqueue(t, q, pipeline.NewItem{ID: "a", Key: "k"})
	var it *pipeline.Item
	w.before(1, func() { it = claimOne(t, q, 1) })
	if n, err := operator.Cancel(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
		t.Fatalf("cancelled %d, error %v", n, err)
	}
	if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); !errors.Is(err, pipeline.ErrLeaseLost) {
		t.Errorf("ack of a cancelled item: %v", err)
	}
	if again := claimOne(t, q, 1); pipeline.CodeOf(again.Condemned) != pipeline.CodeCancelled {
		t.Errorf("claimed again, condemned: %v", again.Condemned)
	}
}

// TestClaimMeetsCancel: between the look and the write of a claim the item is
// cancelled. It must not come as one that may run.
func TestClaimMeetsCancel(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	worker := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithDialer(w))
	enqueue(t, q, pipeline.NewItem{ID: "a"})
	w.before(1, func() {
		if n, err := q.Cancel(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
			t.Errorf("cancelled %d, error %v", n, err)
		}
	})
	items, err := worker.Claim(t.Context(), 2)
	if err != nil || len(items) != 1 || pipeline.CodeOf(items[0].Condemned) != pipeline.CodeCancelled {
		t.Errorf("claimed %+v, error %v; want a, cancelled", items, err)
	}
}

// TestRecordRace: of several processes that make one record, one does; its
// revision grows over its end and after it was forgotten.
func TestRecordRace(t *testing.T) {
	url, c, w := emptyStore(t), &clock{now: time.Now()}, &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithClock(c.Now))
	other := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithClock(c.Now), mongodb.WithDialer(w))
	last := int64(0)
	for _, wait := range []time.Duration{time.Second, 2 * time.Hour, 0} {
		var won int64
		w.before(1, func() {
			var err error
			if won, err = q.WriteRecord(t.Context(), "lanes/7", []byte("q"), 0, time.Second); err != nil {
				t.Error(err)
			}
		})
		if _, err := other.WriteRecord(t.Context(), "lanes/7", []byte("other"), 0, time.Second); !errors.Is(err, pipeline.ErrConflict) {
			t.Errorf("two have made one record: %v", err)
		}
		if won <= last {
			t.Errorf("revision %d after %d", won, last)
		}
		last = won
		c.Advance(wait)
		if _, err := q.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSettleMeetsDrop: between the look at a key's head and the write that gives it
// the turn somebody drops it. The next one gets the turn, and not only with the
// reaper's help.
func TestSettleMeetsDrop(t *testing.T) {
	url, w := emptyStore(t), &wire{}
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	worker := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithDialer(w))
	mongodb.NoReaper(q)
	mongodb.NoReaper(worker)
	enqueue(t, q, pipeline.NewItem{ID: "a", Key: "k"}, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{ID: "c", Key: "k"})
	it := claimOne(t, worker, 1)
	w.before(2, func() {
		if n, err := q.Drop(t.Context(), pipeline.Filter{IDs: []string{"b"}}); n != 1 || err != nil {
			t.Errorf("dropped %d, error %v", n, err)
		}
	})
	if err := worker.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Fatal(err)
	}
	if next := claimOne(t, q, 1); next.ID != "c" {
		t.Errorf("claimed %s, want c", next.ID)
	}
}
