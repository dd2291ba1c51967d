package claimtest

import (
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// spoilt: an item that the driver cannot read is nobody else's trouble. It is
// handed out condemned, alone or with others, and can be dropped.
func spoilt(b *bench) {
	if b.store.Spoil == nil {
		b.Skip("the test gives no way to spoil a stored item")
	}
	b.enqueue(pipeline.NewItem{ID: "before"}, pipeline.NewItem{ID: "spoilt", Priority: 9, Meta: map[string]string{"m": "1"}}, pipeline.NewItem{ID: "after"})
	b.store.Spoil(b, b.q, "spoilt")
	b.stats()
	if all := b.all(); len(all) != 3 {
		b.Errorf("listed %d items with a spoilt one, want 3", len(all))
	}
	var sound []string
	for i := range 4 {
		items, err := b.q.Claim(b.Context(), 1+i%2)
		if err != nil {
			b.Fatalf("claim beside a spoilt item: %v", err)
		}
		for _, it := range items {
			if it.ID == "spoilt" {
				b.wantCondemned(it, "unreadable", 0)
			}
			switch {
			case it.Condemned == nil:
				sound = append(sound, it.ID)
				b.ack(it, pipeline.Succeeded)
			case i == 0:
				b.nack(it, pipeline.Release{Refund: true}) // and once more, in a batch
			default:
				b.ack(it, pipeline.Dead)
			}
		}
	}
	if slices.Sort(sound); !slices.Equal(sound, []string{"after", "before"}) {
		b.Errorf("claimed %v beside a spoilt item", sound)
	}
	b.stats()
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{IDs: []string{"spoilt"}}); n != 1 || err != nil {
		b.Errorf("dropped %d spoilt items, error %v", n, err)
	}
	b.wantStats(pipeline.QueueStats{Done: 2, Enqueued: 2})
}
