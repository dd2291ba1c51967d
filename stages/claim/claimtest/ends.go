package claimtest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

func results(b *bench) {
	digest := pipeline.DigestOf([]byte("result"))
	for i, tc := range []struct {
		result  pipeline.Result
		state   pipeline.ItemState
		history []string
	}{
		{pipeline.Succeeded, pipeline.StateDone, []string{}},
		{pipeline.Skipped, pipeline.StateDone, []string{}},
		{pipeline.Dropped, pipeline.StateDone, []string{"dropped"}},
		{pipeline.Dead, pipeline.StateDead, []string{"dead"}},
	} {
		id := b.enqueue(pipeline.NewItem{})[0]
		o := pipeline.Outcome{Result: tc.result, Digest: digest}
		if len(tc.history) > 0 {
			o.Cause = &pipeline.Error{Kind: pipeline.Permanent, Code: "no-page", Stage: "execute", Err: errors.New("404")}
		}
		if err := b.q.Ack(b.Context(), b.one(), o); err != nil {
			b.Fatalf("%s: %v", tc.result, err)
		}
		e := b.state(id, tc.state)
		if e.Result != tc.result || e.Digest != digest || e.Ended.IsZero() || !e.LeaseUntil.IsZero() {
			b.Errorf("case %d: entry %+v", i, e)
		}
		if d := cmp.Diff(tc.history, whats(e)); d != "" {
			b.Errorf("%s: history (-want +got):\n%s", tc.result, d)
		}
		if len(e.History) > 0 {
			want := pipeline.Event{At: e.Ended, Attempt: 1, What: tc.history[0], Kind: "permanent", Code: "no-page", Stage: "execute"}
			got := e.History[0]
			if got.Error == "" {
				b.Errorf("%s: the event has no error text", tc.result)
			}
			got.Error = ""
			if d := cmp.Diff(want, got); d != "" {
				b.Errorf("%s: event (-want +got):\n%s", tc.result, d)
			}
		}
	}
	b.enqueue(pipeline.NewItem{})
	if err := b.q.Ack(b.Context(), b.one(), pipeline.Outcome{Result: "fine"}); err == nil {
		b.Error("an unknown result was accepted")
	}
}

func ackAgain(b *bench) {
	id := b.enqueue(pipeline.NewItem{})[0]
	it := b.one()
	o := pipeline.Outcome{Result: pipeline.Succeeded, Digest: pipeline.DigestOf([]byte("1"))}
	for range 3 {
		if err := b.q.Ack(b.Context(), it, o); err != nil {
			b.Fatalf("the same acknowledgement again: %v", err)
		}
	}
	before := b.show(id)
	b.wantLost("another digest", b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded, Digest: pipeline.DigestOf([]byte("2"))}))
	b.wantLost("another result", b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Digest: o.Digest}))
	b.wantLost("nack after ack", b.q.Nack(b.Context(), it, pipeline.Release{}))
	if d := cmp.Diff(before, b.show(id)); d != "" {
		b.Errorf("late writes changed the entry (-before +after):\n%s", d)
	}

	b.enqueue(pipeline.NewItem{})
	it = b.one()
	b.nack(it, pipeline.Release{})
	b.wantLost("nack again", b.q.Nack(b.Context(), it, pipeline.Release{}))
	b.wantLost("ack after nack", b.q.Ack(b.Context(), it, o))
}

func delayedRetry(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a", Priority: 5}, pipeline.NewItem{ID: "b"})
	b.nack(b.one(), pipeline.Release{After: time.Minute, Cause: pipeline.Again("timeout", "too slow")})
	e := b.state("a", pipeline.StateReady)
	if e.Attempts != 1 || e.Owner != "" || !slices.Equal(whats(e), []string{"retry"}) || e.History[0].Code != "timeout" {
		b.Errorf("after a retry: %+v", e)
	}
	if got := b.one().ID; got != "b" {
		b.Errorf("claimed %s during a's delay", got)
	}
	b.none()
	b.advance(time.Minute + time.Millisecond)
	var again *pipeline.Item
	for _, it := range b.claim(5) {
		if it.ID == "a" {
			again = it
		}
	}
	if again == nil || again.Attempt != 2 {
		b.Fatalf("after the delay: %+v, want attempt 2", again)
	}
	b.nack(again, pipeline.Release{})
	if got := b.one(); got.ID != "a" || got.Attempt != 3 {
		b.Errorf("a retry without delay: claimed %s, attempt %d", got.ID, got.Attempt)
	}
}

func refund(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	token := int64(0)
	for range 5 {
		it := b.one()
		if it.Attempt != 1 || it.Token <= token {
			b.Fatalf("attempt %d, token %d after %d: want attempt 1 and a token that grows", it.Attempt, it.Token, token)
		}
		token = it.Token
		b.nack(it, pipeline.Release{Refund: true})
	}
	e := b.state("a", pipeline.StateReady)
	if e.Attempts != 0 || len(e.History) == 0 || e.History[0].What != "released" {
		b.Errorf("entry %+v, want no attempts and released events", e)
	}
}

func boundedHistory(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	for range 110 {
		b.nack(b.one(), pipeline.Release{Refund: true, Cause: pipeline.Fail("breaker-open", "the breaker is open")})
	}
	b.nack(b.one(), pipeline.Release{Cause: pipeline.Again("last", "the last")})
	h := b.show("a").History
	if len(h) > 100 || len(h) < 10 || h[len(h)-1].Code != "last" {
		b.Errorf("111 events: %d are kept, the last is %+v; want 10 to 100 with the latest", len(h), h[len(h)-1])
	}
}

func deadLetters(b *bench) {
	b.enqueue(numbered("i", 3, pipeline.NewItem{Body: []byte(`1`)})...)
	for _, it := range b.claim(3) {
		b.nack(it, pipeline.Release{Cause: errors.New("first")})
	}
	for _, it := range b.claim(3) {
		if err := b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Digest: pipeline.DigestOf(nil), Cause: pipeline.Fail("broken", "second")}); err != nil {
			b.Fatal(err)
		}
	}
	b.none()
	b.wantStats(pipeline.QueueStats{Dead: 3, Enqueued: 3})
	steps := []struct {
		f    pipeline.Filter
		want int
	}{
		{pipeline.Filter{State: pipeline.StateDone}, 0},
		{pipeline.Filter{IDs: []string{}}, 0},
		{pipeline.Filter{IDs: []string{"i1", "absent"}}, 1},
		{pipeline.Filter{IDs: []string{"i1"}}, 0}, // not dead any more
		{pipeline.Filter{Limit: 1}, 1},
		{pipeline.Filter{State: pipeline.StateDead}, 1},
	}
	for _, s := range steps {
		n, err := b.q.Retry(b.Context(), s.f)
		if err != nil || n != s.want {
			b.Errorf("retry %+v: %d, error %v; want %d", s.f, n, err, s.want)
		}
	}
	e := b.state("i1", pipeline.StateReady)
	if d := cmp.Diff([]string{"retry", "dead", "replayed"}, whats(e)); d != "" {
		b.Errorf("history after retry (-want +got):\n%s", d)
	}
	if e.Result != "" || e.Digest != "" || !e.Ended.IsZero() || e.Attempts != 0 {
		b.Errorf("entry after retry %+v, want it as if new", e)
	}
	items := b.claim(5)
	if len(items) != 3 {
		b.Fatalf("%d items after retry, want 3", len(items))
	}
	for _, it := range items {
		if it.Attempt != 1 || string(it.Input) != "1" {
			b.Errorf("%s: attempt %d, body %q after retry", it.ID, it.Attempt, it.Input)
		}
		b.ack(it, pipeline.Succeeded)
	}
}
