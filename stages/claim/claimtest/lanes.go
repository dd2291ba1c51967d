package claimtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// half has every other lane.
const half = pipeline.LaneSet(0x5555555555555555)

// keysOf returns n keys whose lanes are in the set.
func keysOf(s pipeline.LaneSet, n int) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		if key := fmt.Sprint("key", i); s.Has(pipeline.LaneOf(key)) {
			out = append(out, key)
		}
	}
	return out
}

// lanes: a process claims items of its lanes, and those without a key; the set
// may change between any two claims.
func lanes(b *bench) {
	mine, foreign := keysOf(half, 3), keysOf(^half, 20)
	for i, key := range foreign { // older and higher than ours
		b.enqueue(pipeline.NewItem{ID: fmt.Sprint("foreign", i), Key: key, Priority: 9})
	}
	for i, key := range mine {
		b.enqueue(pipeline.NewItem{ID: fmt.Sprint("mine", i), Key: key})
	}
	b.enqueue(numbered("free", 10, pipeline.NewItem{})...)
	var set atomic.Uint64
	set.Store(uint64(half))
	all := b.q
	b.q = b.open(pipeline.QueueOptions{Lanes: func() pipeline.LaneSet { return pipeline.LaneSet(set.Load()) }, Owner: "half"})
	if s := b.stats(); s.Ready != 33 {
		b.Errorf("lanes change what is counted: %+v", s)
	}
	var got []string
	for range 4 { // ageing too keeps to its lanes
		got = append(got, b.one().ID)
	}
	for items := b.claim(5); len(items) > 0; items = b.claim(5) {
		got = append(got, ids(items)...)
	}
	want := []string{"mine0", "mine1", "mine2"}
	for i := range 10 {
		want = append(want, fmt.Sprint("free", i))
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		b.Errorf("claimed (-want +got):\n%s", d)
	}

	set.Store(uint64(^half))
	if items := b.claim(30); len(items) != len(foreign) {
		b.Errorf("with the other lanes: claimed %v, want the %d foreign ones", ids(items), len(foreign))
	}
	set.Store(0)
	b.enqueue(pipeline.NewItem{ID: "keyed", Key: "new"}, pipeline.NewItem{ID: "bare"})
	if d := cmp.Diff([]string{"bare"}, ids(b.claim(5))); d != "" {
		b.Errorf("without lanes (-want +got):\n%s", d)
	}
	b.q = all
	if d := cmp.Diff([]string{"keyed"}, ids(b.claim(5))); d != "" {
		b.Errorf("a process without a set has all lanes (-want +got):\n%s", d)
	}
}

// lanesShared: two processes share the lanes, and give each other halves while
// they work: everything runs once, each key in its order.
func lanesShared(b *bench) {
	const keys, each = 12, 6
	for i := range each {
		for k := range keys {
			b.enqueue(pipeline.NewItem{ID: fmt.Sprintf("%02d-%d", k, i), Key: fmt.Sprint("key", k)})
		}
	}
	var mu sync.Mutex
	order := map[string][]string{}
	var swapped atomic.Bool
	err := workers(b.Context(), 4, func(ctx context.Context, w int) error {
		q, err := b.store.Open(pipeline.QueueOptions{Owner: fmt.Sprint("process", w%2), Lease: Lease, Lanes: func() pipeline.LaneSet {
			if (w%2 == 0) != swapped.Load() {
				return half
			}
			return ^half
		}})
		if err != nil {
			return err
		}
		defer q.Close()
		for {
			items, err := q.Claim(ctx, 2)
			if err != nil {
				return err
			}
			if len(items) == 0 {
				if n, _, err := q.Pending(ctx); n == 0 || err != nil {
					return err
				}
			}
			for _, it := range items {
				mu.Lock()
				order[it.Key] = append(order[it.Key], it.ID)
				if len(order[it.Key]) == each/2 {
					swapped.Store(!swapped.Load())
				}
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
	for key, got := range order {
		if len(got) != each || !slices.IsSorted(got) {
			b.Errorf("%s ran as %v", key, got)
		}
	}
	b.wantStats(pipeline.QueueStats{Done: keys * each, Enqueued: keys * each})
}
