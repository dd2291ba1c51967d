package claimtest

import (
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// skewed: a worker whose own clock is wrong by weeks decides as everybody else
// does, because all times are the store's. The store's clock is moved away from
// that of the machine, which is this worker's.
func skewed(b *bench) {
	b.advance(1000 * time.Hour)
	b.apart("slow")
	b.advance(-2000 * time.Hour)
	b.apart("fast")
}

func (b *bench) apart(name string) {
	b.Helper()
	b.q = b.open(pipeline.QueueOptions{Queue: name})
	now := b.show(b.enqueue(pipeline.NewItem{ID: "first", Priority: 9})[0]).Enqueued
	if off := time.Since(now).Abs(); off < 500*time.Hour {
		b.Fatalf("%s: enqueued at %v, which is the worker's time", name, now)
	}
	b.enqueue(pipeline.NewItem{ID: "later", NotBefore: now.Add(time.Minute)}, pipeline.NewItem{ID: "due", Deadline: now.Add(time.Minute)},
		pipeline.NewItem{ID: "idem", IdempotencyKey: "x", IdempotencyTTL: pipeline.Duration(time.Minute)})
	b.known(pipeline.NewItem{IdempotencyKey: "x"}, "idem")
	if s := b.stats(); s.Delayed != 1 || s.AgeSeconds != 0 {
		b.Errorf("%s: %+v, want one delayed and none that has waited", name, s)
	}
	first := b.one()
	b.advance(0) // the reaper looks for leases that have expired
	items := b.claim(10)
	for _, it := range items {
		if it.ID == "later" || it.Condemned != nil {
			b.Errorf("%s: claimed %s, condemned: %v", name, it.ID, it.Condemned)
		}
		if e := b.show(it.ID); !e.LeaseUntil.Equal(now.Add(Lease)) {
			b.Errorf("%s: a lease until %v, want %v", name, e.LeaseUntil, now.Add(Lease))
		}
	}
	if len(items) != 2 {
		b.Errorf("%s: claimed %v, want due and idem", name, ids(items))
	}
	b.nack(items[0], pipeline.Release{After: time.Minute})
	b.advance(Lease - time.Second)
	if lost, err := b.q.Renew(b.Context(), []*pipeline.Item{first, items[1]}); len(lost) != 0 || err != nil {
		b.Errorf("%s: lost %v before the lease ended, error %v", name, ids(lost), err)
	}
	b.advance(Lease)
	if s := b.stats(); s.Leased != 0 || s.Delayed != 2 {
		b.Errorf("%s: %+v, want no lease after its end, and two delayed", name, s)
	}
	l := ledger{b, b.q}
	l.write(name, "1", 0, time.Minute)
	l.there(name, name+"=1")
	b.advance(time.Minute)
	l.there(name)
}
