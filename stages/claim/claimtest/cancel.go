package claimtest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// cancel cancels these items, all of which it can.
func (b *bench) cancel(ids ...string) {
	b.Helper()
	n, err := b.q.Cancel(b.Context(), pipeline.Filter{IDs: ids})
	if n != len(ids) || err != nil {
		b.Fatalf("cancelled %d of %v, error %v", n, ids, err)
	}
}

// cancelReady: what waits, for its time too, comes at once, condemned, until it
// is ended; and retry clears it.
func cancelReady(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "ready"})[0]).Enqueued
	b.enqueue(pipeline.NewItem{ID: "delayed", NotBefore: now.Add(time.Hour)}, pipeline.NewItem{ID: "other", NotBefore: now.Add(time.Hour)})
	b.cancel("ready", "delayed")
	b.wantStats(pipeline.QueueStats{Ready: 3, Delayed: 1, Enqueued: 3})
	if _, next, err := b.q.Pending(b.Context()); !next.Equal(now.Add(time.Hour)) || err != nil {
		b.Errorf("the next delayed one is due at %v, error %v; want other's time", next, err)
	}
	items := b.claim(5)
	if d := cmp.Diff([]string{"ready", "delayed"}, ids(items)); d != "" {
		b.Fatalf("claimed (-want +got):\n%s", d)
	}
	for _, it := range items {
		b.wantCondemned(it, pipeline.CodeCancelled, 0)
		if w := whats(b.show(it.ID)); !slices.Equal(w, []string{"cancelled"}) {
			b.Errorf("%s has the history %v", it.ID, w)
		}
	}
	b.nack(items[0], pipeline.Release{Refund: true})
	b.advance(Lease) // and the worker of the other one dies
	items = b.claim(5)
	for _, it := range items {
		b.wantCondemned(it, pipeline.CodeCancelled, 0)
		if err := b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: it.Condemned}); err != nil {
			b.Fatal(err)
		}
		if h := b.state(it.ID, pipeline.StateDead).History; h[len(h)-1].Code != pipeline.CodeCancelled {
			b.Errorf("%s ended with %+v", it.ID, h)
		}
	}
	b.wantStats(pipeline.QueueStats{Ready: 1, Delayed: 1, Dead: 2, Enqueued: 3})
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{IDs: []string{"ready"}}); n != 1 || err != nil {
		b.Fatalf("retry: %d, error %v", n, err)
	}
	if it := b.one(); it.Condemned != nil || it.Attempt != 1 {
		b.Errorf("after retry: attempt %d, condemned: %v", it.Attempt, it.Condemned)
	}
}

// cancelLeased: the lease is taken away at once, and with it the right to write.
func cancelLeased(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	stale := b.one()
	b.cancel("a")
	e := b.state("a", pipeline.StateReady)
	if e.Owner != "" || !e.LeaseUntil.IsZero() || !slices.Equal(whats(e), []string{"cancelled"}) {
		b.Errorf("a cancelled item: %+v, want no lease and the event", e)
	}
	late := func(when string) {
		b.Helper()
		b.wantLost(when+": ack", b.q.Ack(b.Context(), stale, pipeline.Outcome{Result: pipeline.Succeeded}))
		b.wantLost(when+": nack", b.q.Nack(b.Context(), stale, pipeline.Release{Refund: true}))
		if lost, err := b.q.Renew(b.Context(), []*pipeline.Item{stale}); err != nil || len(lost) != 1 {
			b.Errorf("%s: renew lost %d, error %v", when, len(lost), err)
		}
	}
	late("cancelled")
	it := b.one()
	b.wantCondemned(it, pipeline.CodeCancelled, 1)
	if it.Token <= stale.Token {
		b.Errorf("token %d after %d", it.Token, stale.Token)
	}
	late("claimed to be ended")
	b.ack(it, pipeline.Dead)
	late("ended")
	b.wantStats(pipeline.QueueStats{Dead: 1, Enqueued: 1})
}

// cancelKeyed: the order of a key holds for those that are cancelled.
func cancelKeyed(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "clock"})[0]).Enqueued
	b.ack(b.one(), pipeline.Succeeded)
	b.enqueue(pipeline.NewItem{ID: "k1", Key: "k"}, pipeline.NewItem{ID: "k2", Key: "k", Priority: 9}, pipeline.NewItem{ID: "k3", Key: "k"},
		pipeline.NewItem{ID: "d1", Key: "d", NotBefore: now.Add(time.Hour)}, pipeline.NewItem{ID: "d2", Key: "d"})
	k1 := b.one()
	b.cancel("k2", "d2")
	b.none() // each behind the head of its key
	b.ack(k1, pipeline.Succeeded)
	k2 := b.one()
	b.wantCondemned(k2, pipeline.CodeCancelled, 0)
	b.none()
	b.ack(k2, pipeline.Dead)
	k3 := b.one()
	if k3.ID != "k3" || k3.Condemned != nil {
		b.Fatalf("claimed %s, condemned: %v; want k3", k3.ID, k3.Condemned)
	}
	b.cancel("k3", "d1") // one is leased, one waits for its time
	items := b.claim(5)
	if d := cmp.Diff([]string{"k3", "d1"}, ids(items)); d != "" {
		b.Fatalf("claimed (-want +got):\n%s", d)
	}
	b.wantCondemned(items[0], pipeline.CodeCancelled, 1)
	b.wantCondemned(items[1], pipeline.CodeCancelled, 0)
	b.ack(items[1], pipeline.Dead)
	b.wantCondemned(b.one(), pipeline.CodeCancelled, 0) // d2
}

// cancelFilters: only what has not ended, and what the filter says.
func cancelFilters(b *bench) {
	tools := b.q
	b.enqueue(numbered("i", 5, pipeline.NewItem{})...)
	items := b.claim(3)
	b.ack(items[0], pipeline.Succeeded)
	b.ack(items[1], pipeline.Dead)
	for _, tc := range []struct {
		f    pipeline.Filter
		want int
	}{
		{pipeline.Filter{IDs: []string{"i0", "i1", "absent"}}, 0},
		{pipeline.Filter{State: pipeline.StateDone}, 0},
		{pipeline.Filter{State: pipeline.StateDead}, 0},
		{pipeline.Filter{IDs: []string{}}, 0},
		{pipeline.Filter{State: pipeline.StateReady, Limit: 1}, 1},
		{pipeline.Filter{State: pipeline.StateLeased}, 1},
	} {
		if n, err := tools.Cancel(b.Context(), tc.f); n != tc.want || err != nil {
			b.Errorf("cancel %+v: %d, error %v; want %d", tc.f, n, err, tc.want)
		}
	}
	b.wantLost("ack", b.q.Ack(b.Context(), items[2], pipeline.Outcome{Result: pipeline.Succeeded}))
	if e := b.state("i0", pipeline.StateDone); len(e.History) != 0 {
		b.Errorf("cancelling what has ended left %v", whats(e))
	}
	codes := []string{}
	for _, it := range b.claim(5) {
		codes = append(codes, it.ID+" "+pipeline.CodeOf(it.Condemned))
	}
	if d := cmp.Diff([]string{"i2 cancelled", "i3 cancelled", "i4 "}, codes); d != "" {
		b.Errorf("claimed (-want +got):\n%s", d)
	}
}

// cancelFirst: cancelled goes before the other reasons.
func cancelFirst(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "late"})[0]).Enqueued
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{}); n != 1 || err != nil {
		b.Fatalf("drop: %d, error %v", n, err)
	}
	b.enqueue(pipeline.NewItem{ID: "late", Deadline: now.Add(time.Second)}, pipeline.NewItem{ID: "tired", MaxAttempts: 1})
	b.claim(2)
	b.advance(Lease)
	b.cancel("late", "tired")
	for _, it := range b.claim(2) {
		b.wantCondemned(it, pipeline.CodeCancelled, 1)
	}
}
