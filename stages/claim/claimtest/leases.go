package claimtest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
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

// attemptsUsedUp: the queue ends nothing. An item whose last attempt ended with
// its lease is handed out once more, condemned, for the worker to end it.
func attemptsUsedUp(b *bench) {
	b.q = b.open(pipeline.QueueOptions{MaxAttempts: 2})
	b.enqueue(pipeline.NewItem{ID: "two"}, pipeline.NewItem{ID: "one", MaxAttempts: 1})
	last := b.claim(2)[1]
	b.advance(Lease)
	b.wantStats(pipeline.QueueStats{Ready: 2, Enqueued: 2})
	if e := b.state("one", pipeline.StateReady); !slices.Equal(whats(e), []string{"expired"}) || e.History[0].Code != "lease-expired" {
		b.Errorf("an item whose lease expired at its last attempt: %+v", e)
	}
	items := b.claim(2)
	if it := items[0]; it.ID != "two" || it.Condemned != nil || it.Attempt != 2 {
		b.Errorf("claimed %s, attempt %d, condemned: %v; want the second attempt of two", it.ID, it.Attempt, it.Condemned)
	}
	one := items[1]
	b.wantCondemned(one, pipeline.CodeAttemptsExhausted, 1)
	if one.Token <= last.Token {
		b.Errorf("a condemned claim has the token %d after %d, want a greater one", one.Token, last.Token)
	}

	// Its worker dies too, or cannot end it now: it stays condemned, and there
	// is no attempt to give back.
	b.advance(Lease)
	b.wantLost("ack under the expired lease", b.q.Ack(b.Context(), one, pipeline.Outcome{Result: pipeline.Dead}))
	items = b.claim(2)
	b.wantCondemned(items[0], pipeline.CodeAttemptsExhausted, 2)
	b.wantCondemned(items[1], pipeline.CodeAttemptsExhausted, 1)
	b.nack(items[1], pipeline.Release{Refund: true})
	again := b.one()
	b.wantCondemned(again, pipeline.CodeAttemptsExhausted, 1)
	for _, it := range []*pipeline.Item{items[0], again} {
		if err := b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: it.Condemned}); err != nil {
			b.Fatal(err)
		}
	}
	if e := b.state("one", pipeline.StateDead); e.Attempts != 1 || e.History[len(e.History)-1].Code != pipeline.CodeAttemptsExhausted {
		b.Errorf("the end of a condemned item: %+v", e)
	}
	b.wantStats(pipeline.QueueStats{Dead: 2, Enqueued: 2})

	if n, err := b.q.Retry(b.Context(), pipeline.Filter{IDs: []string{"one"}}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	if it := b.one(); it.Condemned != nil || it.Attempt != 1 {
		b.Errorf("after retry: attempt %d, condemned: %v; want a fresh one", it.Attempt, it.Condemned)
	}
}

// givenBackIsNotExpired: only the end of a lease condemns. How often a worker
// tries, and gives back, is its own policy.
func givenBackIsNotExpired(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a", MaxAttempts: 1})
	for attempt := 1; attempt <= 4; attempt++ {
		it := b.one()
		if it.Condemned != nil || it.Attempt != attempt {
			b.Fatalf("attempt %d, condemned: %v; want attempt %d", it.Attempt, it.Condemned, attempt)
		}
		b.nack(it, pipeline.Release{})
	}
}

// wantCondemned checks a claim that may only be ended.
func (b *bench) wantCondemned(it *pipeline.Item, code string, attempts int) {
	b.Helper()
	if pipeline.CodeOf(it.Condemned) != code || pipeline.KindOf(it.Condemned) != pipeline.Permanent || it.Attempt != attempts {
		b.Fatalf("%s: attempt %d, condemned: %v; want %s after %d", it.ID, it.Attempt, it.Condemned, code, attempts)
	}
}

func deadlines(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "clock", Priority: 9})[0]).Enqueued
	b.ack(b.one(), pipeline.Succeeded)
	soon := now.Add(time.Second)
	b.enqueue(pipeline.NewItem{ID: "ready", Deadline: soon}, pipeline.NewItem{ID: "delayed", Deadline: soon, NotBefore: now.Add(time.Hour)},
		pipeline.NewItem{ID: "head", Key: "k", Deadline: soon, NotBefore: now.Add(time.Hour)}, pipeline.NewItem{ID: "next", Key: "k"},
		pipeline.NewItem{ID: "leased", Deadline: soon, Priority: 9})
	leased := b.one()
	if leased.ID != "leased" || !leased.Deadline.Equal(soon) {
		b.Fatalf("claimed %s with deadline %v", leased.ID, leased.Deadline)
	}
	if n, next, err := b.q.Pending(b.Context()); n != 5 || !next.Equal(soon) || err != nil {
		b.Errorf("pending is %d, next at %v, error %v; want 5, and the deadline: it ends the delay", n, next, err)
	}
	b.advance(time.Second)
	if s := b.stats(); s.Ready != 4 || s.Delayed != 0 {
		b.Errorf("stats %+v: want no delay: two ended with their deadline, and next only waits for its key", s)
	}
	// Being late does not change whose turn it is.
	late := b.claim(10)
	if d := cmp.Diff([]string{"ready", "delayed", "head"}, ids(late)); d != "" {
		b.Fatalf("late items (-want +got):\n%s", d)
	}
	for _, it := range late {
		b.wantCondemned(it, pipeline.CodeDeadlineExceeded, 0)
		if err := b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: it.Condemned}); err != nil {
			b.Fatal(err)
		}
		if e := b.state(it.ID, pipeline.StateDead); !slices.Equal(whats(e), []string{"dead"}) || e.History[0].Code != pipeline.CodeDeadlineExceeded || e.Attempts != 0 {
			b.Errorf("%s: entry %+v, want dead by its deadline", it.ID, e)
		}
	}
	if it := b.one(); it.ID != "next" || it.Condemned != nil {
		b.Errorf("claimed %s, condemned: %v; want next", it.ID, it.Condemned)
	}
	// A leased item is its holder's until the lease ends, which the deadline
	// does not move.
	b.state("leased", pipeline.StateLeased)
	b.advance(Lease)
	for _, it := range b.claim(2) {
		if it.ID == "leased" {
			b.wantCondemned(it, pipeline.CodeDeadlineExceeded, 1)
			return
		}
	}
	b.Error("the late item whose lease ended was not claimable")
}
