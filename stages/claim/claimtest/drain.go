package claimtest

import (
	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// drain: a process that ends gives back what it holds itself, at no cost to the
// items, and touches nothing of the others'.
func drain(b *bench) {
	b.enqueue(numbered("i", 5, pipeline.NewItem{MaxAttempts: 1})...)
	other := b.open(pipeline.QueueOptions{Owner: "other"})
	theirs, err := other.Claim(b.Context(), 2)
	if err != nil || len(theirs) != 2 {
		b.Fatalf("claimed %v, error %v", ids(theirs), err)
	}
	leaving := b.open(pipeline.QueueOptions{Owner: "leaving"})
	held, err := leaving.Claim(b.Context(), 2)
	if err != nil || len(held) != 2 {
		b.Fatalf("claimed %v, error %v", ids(held), err)
	}
	for _, it := range held {
		if err := leaving.Nack(b.Context(), it, pipeline.Release{Refund: true, Cause: pipeline.Again("shutdown", "the process ends")}); err != nil {
			b.Fatal(err)
		}
	}
	if err := leaving.Close(); err != nil {
		b.Fatal(err)
	}
	b.wantStats(pipeline.QueueStats{Ready: 3, Leased: 2, Enqueued: 5})
	if lost, err := other.Renew(b.Context(), theirs); len(lost) != 0 || err != nil {
		b.Errorf("the other process lost %v, error %v", ids(lost), err)
	}
	items := b.claim(5)
	if d := cmp.Diff([]string{"i2", "i3", "i4"}, ids(items)); d != "" {
		b.Errorf("claimed after it has gone (-want +got):\n%s", d)
	}
	for _, it := range items {
		if it.Attempt != 1 || it.Condemned != nil {
			b.Errorf("%s: attempt %d, condemned: %v; want the first", it.ID, it.Attempt, it.Condemned)
		}
	}
}
