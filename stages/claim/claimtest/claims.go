package claimtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/waybill-dev/waybill/pipeline"
)

func carries(b *bench) {
	trace := pipeline.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
	deadline := time.Now().Add(1000 * time.Hour).UTC().Truncate(time.Millisecond)
	b.enqueue(pipeline.NewItem{ID: "a", Key: "k", Body: []byte(`{"url":"https://example.com/"}`),
		Meta: map[string]string{"depth": "1"}, Priority: 7, Deadline: deadline, MaxAttempts: 3, Trace: trace})
	it := b.one()
	want := &pipeline.Item{ID: "a", Key: "k", Queue: "default", Priority: 7, Attempt: 1, MaxAttempts: 3,
		Deadline: deadline, Trace: trace, Meta: map[string]string{"depth": "1"}, Input: []byte(`{"url":"https://example.com/"}`)}
	ignore := cmpopts.IgnoreFields(pipeline.Item{}, "Body", "Token", "Enqueued")
	if d := cmp.Diff(want, it, ignore, cmpopts.IgnoreUnexported(pipeline.Item{})); d != "" {
		b.Errorf("the claimed item (-want +got):\n%s", d)
	}
	value, err := it.Body.Value()
	if d := cmp.Diff(map[string]any{"url": "https://example.com/"}, value); d != "" || err != nil {
		b.Errorf("body: %v, error %v", value, err)
	}
	if it.Token <= 0 || it.Enqueued.IsZero() {
		b.Errorf("token %d, enqueued %v: want both set", it.Token, it.Enqueued)
	}
	e := b.state("a", pipeline.StateLeased)
	if e.Owner != "tester" || e.Attempts != 1 || e.Token != it.Token || e.LeaseUntil.Sub(e.Enqueued) != Lease {
		b.Errorf("entry %+v: want owner tester, 1 attempt, token %d and a lease of %v", e, it.Token, Lease)
	}

	empty := b.enqueue(pipeline.NewItem{})
	it = b.one()
	if raw, err := it.Body.Bytes(); it.ID != empty[0] || len(raw) != 0 || err != nil {
		b.Errorf("an item without a body came as %q with %q, error %v", it.ID, raw, err)
	}
}

func allOrNothing(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "a"})
	for name, items := range map[string][]pipeline.NewItem{
		"known id":      {{ID: "b"}, {ID: "a"}},
		"id twice":      {{ID: "b"}, {ID: "b"}},
		"bad priority":  {{ID: "b"}, {ID: "c", Priority: 10}},
		"body too long": {{ID: "b"}, {Body: fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody))}},
	} {
		if _, err := b.q.Enqueue(b.Context(), items); err == nil {
			b.Errorf("%s: accepted", name)
		}
		b.wantStats(pipeline.QueueStats{Ready: 1, Enqueued: 1})
	}
}

func refuses(b *bench) {
	for want, it := range map[string]pipeline.NewItem{
		"body-too-large": {Body: fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody))},
		"bad-item":       {Body: []byte(`{"a":`)},
	} {
		if _, err := b.q.Enqueue(b.Context(), []pipeline.NewItem{it}); pipeline.CodeOf(err) != want {
			b.Errorf("error %v, want code %s", err, want)
		}
	}
	full := fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody-2))
	b.enqueue(pipeline.NewItem{Body: full})
	if it := b.one(); !slices.Equal(it.Input, full) {
		b.Error("a body of the largest size came back changed")
	}
}

// atomicClaims lets 16 workers race for every item and count in between.
func atomicClaims(b *bench) {
	const n = 200
	b.enqueue(numbered("i", n, pipeline.NewItem{})...)
	var mu sync.Mutex
	seen := map[string]int{}
	other := b.open(pipeline.QueueOptions{Owner: "other"})
	err := workers(b.Context(), 16, func(ctx context.Context, w int) error {
		q := []pipeline.Queue{b.q, other}[w%2]
		for {
			items, err := q.Claim(ctx, 1+w%3)
			if err != nil || len(items) == 0 {
				return err
			}
			s, err := q.Stats(ctx)
			if err == nil {
				err = adds(s)
			}
			if err == nil && s.Enqueued != n {
				err = fmt.Errorf("%d items enqueued, counted %+v", n, s)
			}
			if err != nil {
				return err
			}
			for _, it := range items {
				mu.Lock()
				seen[it.ID]++
				mu.Unlock()
				if err := q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
					return err
				}
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	for id, times := range seen {
		if times != 1 {
			b.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(seen) != n {
		b.Errorf("%d of %d items were claimed", len(seen), n)
	}
	b.wantStats(pipeline.QueueStats{Done: n, Enqueued: n})
}

func priorityThenAge(b *bench) {
	for i, p := range []int{0, 5, 9, 5, 0, 9} {
		b.enqueue(pipeline.NewItem{ID: fmt.Sprintf("p%d-%d", p, i), Priority: p})
	}
	got := append(ids(b.claim(2)), ids(b.claim(3))...)
	if d := cmp.Diff([]string{"p9-2", "p9-5", "p5-1", "p5-3", "p0-0"}, got); d != "" {
		b.Errorf("order of claims (-want +got):\n%s", d)
	}
}

func notBefore(b *bench) {
	now := b.show(b.enqueue(pipeline.NewItem{ID: "now"})[0]).Enqueued
	b.enqueue(pipeline.NewItem{ID: "later", Priority: 9, NotBefore: now.Add(time.Minute)})
	if got := b.one().ID; got != "now" {
		b.Fatalf("claimed %s, want now", got)
	}
	b.none()
	if s := b.stats(); s.Ready != 1 || s.Delayed != 1 {
		b.Errorf("stats %+v, want 1 ready and delayed", s)
	}
	n, next, err := b.q.Pending(b.Context())
	if n != 2 || !next.Equal(now.Add(time.Minute)) || err != nil {
		b.Errorf("pending is %d, next at %v, error %v; want 2, %v", n, next, err, now.Add(time.Minute))
	}
	b.advance(59 * time.Second)
	if got := b.claim(5); slices.Contains(ids(got), "later") {
		b.Fatal("claimed a second before its time")
	}
	b.advance(time.Second)
	if got := b.claim(5); !slices.Contains(ids(got), "later") {
		b.Error("not claimable at its time")
	}
}

func cancelledClaim(b *bench) {
	b.enqueue(pipeline.NewItem{})
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	items, err := b.q.Claim(ctx, 1)
	if err == nil {
		// A driver may still answer; then the claim must be whole.
		b.wantStats(pipeline.QueueStats{Leased: int64(len(items)), Ready: int64(1 - len(items)), Enqueued: 1})
		return
	}
	if !errors.Is(err, context.Canceled) {
		b.Errorf("error %v, want context.Canceled", err)
	}
	b.wantStats(pipeline.QueueStats{Ready: 1, Enqueued: 1})
}
