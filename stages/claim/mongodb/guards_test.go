package mongodb_test

import (
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
