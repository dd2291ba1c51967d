package claimtest

import (
	"github.com/waybill-dev/waybill/pipeline"
)

// paused: nothing is claimed, by anybody, and all else goes on.
func paused(b *bench) {
	tools := b.q
	other := b.open(pipeline.QueueOptions{Owner: "other"})
	apart := b.open(pipeline.QueueOptions{Queue: "apart"})
	b.enqueue(numbered("i", 4, pipeline.NewItem{})...)
	items := b.claim(3)
	for range 2 { // pausing what is paused changes nothing
		if err := tools.Pause(b.Context(), true); err != nil {
			b.Fatalf("pause: %v", err)
		}
	}
	late := b.open(pipeline.QueueOptions{Owner: "late"})
	for name, q := range map[string]pipeline.Queue{"own": b.q, "other": other, "late": late} {
		if got, err := q.Claim(b.Context(), 5); len(got) != 0 || err != nil {
			b.Errorf("the %s handle claims %v from a paused queue, error %v", name, ids(got), err)
		}
		if s, err := q.Stats(b.Context()); !s.Paused || s.Ready != 1 || s.Leased != 3 || err != nil {
			b.Errorf("the %s handle: %+v, error %v; want it paused", name, s, err)
		}
	}
	if lost, err := b.q.Renew(b.Context(), items); len(lost) != 0 || err != nil {
		b.Errorf("pausing lost the leases of %v, error %v", ids(lost), err)
	}
	b.ack(items[0], pipeline.Succeeded)
	b.nack(items[1], pipeline.Release{})
	b.enqueue(pipeline.NewItem{ID: "new"})
	b.advance(Lease)
	b.none()
	b.wantStats(pipeline.QueueStats{Ready: 4, Done: 1, Enqueued: 5, Paused: true})

	if s, err := apart.Stats(b.Context()); s.Paused || err != nil {
		b.Errorf("another queue: %+v, error %v", s, err)
	}
	if err := other.Pause(b.Context(), false); err != nil {
		b.Fatalf("resume: %v", err)
	}
	b.one()
	if got, err := late.Claim(b.Context(), 5); len(got) != 3 || err != nil {
		b.Errorf("after resuming, another handle claims %v, error %v; want 3", ids(got), err)
	}
	b.wantStats(pipeline.QueueStats{Leased: 4, Done: 1, Enqueued: 5})
}
