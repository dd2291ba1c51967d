package claimtest

import (
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

func leasesExpire(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	first := b.one()
	b.advance(Lease - time.Second)
	b.none()
	b.advance(time.Second)
	second := b.one()
	if second.Attempt != 2 || second.Token <= first.Token {
		b.Errorf("the second claim has attempt %d and token %d after %d: want 2 and more", second.Attempt, second.Token, first.Token)
	}
	e := b.show("a")
	if w := whats(e); !slices.Equal(w, []string{"expired"}) || e.History[0].Attempt != 1 {
		b.Errorf("history %+v, want one expired attempt", e.History)
	}
}

func renewal(b *bench) {
	b.enqueue(numbered("i", 3, pipeline.NewItem{})...)
	items := b.claim(3)
	for range 4 {
		b.advance(Lease * 2 / 3)
		lost, err := b.q.Renew(b.Context(), items)
		if err != nil || len(lost) != 0 {
			b.Fatalf("renew lost %v, error %v", ids(lost), err)
		}
	}
	b.none()
	b.ack(items[1], pipeline.Succeeded)
	lost, err := b.q.Renew(b.Context(), items)
	if err != nil || !slices.Equal(ids(lost), []string{items[1].ID}) {
		b.Errorf("renewing an ended item: lost %v, error %v", ids(lost), err)
	}
	b.advance(Lease)
	lost, err = b.q.Renew(b.Context(), items)
	if err != nil || len(lost) != 3 {
		b.Errorf("renewing expired items: lost %v, error %v", ids(lost), err)
	}
}

// fencing: nothing that a late worker writes has any effect.
func fencing(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	stale := b.one()
	late := func(when string) {
		b.Helper()
		before := b.show("a")
		for _, r := range []pipeline.Result{pipeline.Succeeded, pipeline.Dead, pipeline.Skipped} {
			b.wantLost(when+": ack "+string(r), b.q.Ack(b.Context(), stale, pipeline.Outcome{Result: r}))
		}
		b.wantLost(when+": nack", b.q.Nack(b.Context(), stale, pipeline.Release{Refund: true, After: time.Hour}))
		if lost, err := b.q.Renew(b.Context(), []*pipeline.Item{stale}); err != nil || len(lost) != 1 {
			b.Errorf("%s: renew lost %d, error %v", when, len(lost), err)
		}
		after := b.show("a")
		if before.State != after.State || before.Attempts != after.Attempts || !before.LeaseUntil.Equal(after.LeaseUntil) ||
			len(before.History) != len(after.History) || !before.NotBefore.Equal(after.NotBefore) {
			b.Errorf("%s: a stale write changed %+v to %+v", when, before, after)
		}
	}
	b.advance(Lease)
	late("expired")
	live := b.one()
	late("claimed by somebody else")
	b.nack(live, pipeline.Release{})
	late("given back by somebody else")
	b.ack(b.one(), pipeline.Succeeded)
	late("ended by somebody else")

	ghost := &pipeline.Item{ID: "ghost", Token: 1}
	b.wantLost("ack of an item that never was", b.q.Ack(b.Context(), ghost, pipeline.Outcome{Result: pipeline.Succeeded}))
}

func attemptsUsedUp(b *bench) {
	b.q = b.open(pipeline.QueueOptions{MaxAttempts: 2})
	b.enqueue(pipeline.NewItem{ID: "two"}, pipeline.NewItem{ID: "one", MaxAttempts: 1})
	b.claim(2)
	b.advance(Lease)
	e := b.state("one", pipeline.StateDead)
	if e.Result != pipeline.Dead || e.Ended.IsZero() || !slices.Equal(whats(e), []string{"dead"}) || e.History[0].Code != "lease-expired" {
		b.Errorf("an item whose lease expired at its last attempt: %+v", e)
	}
	b.state("two", pipeline.StateReady)
	b.claim(2)
	b.advance(Lease)
	b.state("two", pipeline.StateDead)
	b.wantStats(pipeline.QueueStats{Dead: 2, Enqueued: 2})
}

func deadlines(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "clock", Priority: 9})[0]).Enqueued
	b.ack(b.one(), pipeline.Succeeded)
	soon := now.Add(time.Second)
	b.enqueue(pipeline.NewItem{ID: "ready", Deadline: soon}, pipeline.NewItem{ID: "delayed", Deadline: soon, NotBefore: now.Add(time.Hour)},
		pipeline.NewItem{ID: "leased", Deadline: soon, Priority: 9})
	if it := b.one(); it.ID != "leased" || !it.Deadline.Equal(soon) {
		b.Fatalf("claimed %s with deadline %v", it.ID, it.Deadline)
	}
	b.advance(time.Second)
	b.none()
	for _, id := range []string{"ready", "delayed"} {
		e := b.state(id, pipeline.StateDead)
		if !slices.Equal(whats(e), []string{"dead"}) || e.History[0].Code != "deadline" {
			b.Errorf("%s: history %+v, want dead by its deadline", id, e.History)
		}
	}
	// A leased item is its holder's until the lease ends, which the deadline
	// does not move.
	b.state("leased", pipeline.StateLeased)
	b.advance(Lease)
	b.state("leased", pipeline.StateDead)
}
