package claimtest

import (
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// wakes: an enqueue of this process says that there may be something to claim,
// and does not wait for anybody to listen.
func wakes(b *bench) {
	for range 20 {
		b.enqueue(pipeline.NewItem{})
	}
	woken := func(when string) {
		b.Helper()
		select {
		case <-b.q.Wakes():
		case <-time.After(30 * time.Second): // the bound of a failure
			b.Fatalf("%s: nobody was woken", when)
		}
	}
	woken("after enqueues")
	for len(b.claim(30)) > 0 {
	}
	for quiet := false; !quiet; { // what is left of before, and what the store tells late
		select {
		case <-b.q.Wakes():
		default:
			quiet = true
		}
	}
	b.enqueue(pipeline.NewItem{ID: "late"})
	woken("after another enqueue")
	b.one()
}
