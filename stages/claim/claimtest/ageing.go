package claimtest

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// noStarvation: of eight claims in a row at least one takes the oldest.
func noStarvation(b *bench) {
	b.enqueue(pipeline.NewItem{ID: "low"})
	b.enqueue(numbered("high", 30, pipeline.NewItem{Priority: 9})...)
	var got []string
	for range 8 {
		got = append(got, b.one().ID)
	}
	if !slices.Contains(got, "low") {
		b.Errorf("8 claims never took the oldest: %v", got)
	}
}

// ageingOrder: what ageing takes is the oldest, one after the other, also in
// batches.
func ageingOrder(b *bench) {
	b.enqueue(numbered("low", 3, pipeline.NewItem{})...)
	b.enqueue(numbered("high", 60, pipeline.NewItem{Priority: 9})...)
	var low []string
	for i := range 3 {
		got := append(ids(b.claim(5)), ids(b.claim(3))...)
		low = append(low, slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "high") })...)
		if len(low) < i+1 {
			b.Errorf("%d claims took %d of the old ones", 8*(i+1), len(low))
		}
	}
	if d := cmp.Diff([]string{"low0", "low1", "low2"}, low[:min(3, len(low))]); d != "" {
		b.Errorf("the order of ageing (-want +got):\n%s", d)
	}
}

// age: how long the claimable item that waits longest has waited.
func age(b *bench) {
	want := func(seconds float64) {
		b.Helper()
		if got := b.stats().AgeSeconds; math.Abs(got-seconds) > 0.01 {
			b.Errorf("the age is %v, want %v", got, seconds)
		}
	}
	want(0)
	now := b.show(b.enqueue(pipeline.NewItem{ID: "first"})[0]).Enqueued
	b.enqueue(pipeline.NewItem{ID: "delayed", NotBefore: now.Add(time.Minute)})
	want(0)
	b.advance(10 * time.Second)
	b.enqueue(pipeline.NewItem{ID: "k1", Key: "k"}, pipeline.NewItem{ID: "k2", Key: "k", Priority: 9})
	want(10)
	b.ack(b.one(), pipeline.Succeeded)
	want(0) // of k1
	b.advance(20 * time.Second)
	want(20)
	b.one()
	want(0) // k2 waits for its key, and delayed for its time
	b.advance(30 * time.Second)
	want(60)
}
