package feed

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// A feed is brisk while flights are over sooner than another carrier could be
// woken for them. Then one carrier is the worker: it claims for all of them,
// takes what it claimed without the lock, and the others sleep; they would only
// fight over the lock. One sleeper keeps watch, and ends the brisk time when the
// worker makes no progress: what a slow flight holds up, it holds up for stall
// at most.
const (
	briskFlight = 2 * time.Microsecond // about what it costs to wake a carrier
	briskRun    = 4                    // so many samples in a row make it brisk
	sampleEvery = 64
	stall       = time.Millisecond
)

// pace measures how long flights take.
type pace struct {
	brisk   bool
	worker  *carrier // who has a batch, or nil
	taken   uint64   // flights handed out under the lock
	sampled uint64   // flights handed out up to the last sample
	run     int      // samples below briskFlight in a row
}

// batch is flights that a carrier may take without the feed's lock. Only the
// carrier fills it; others may empty it. Both need the lock for that.
type batch struct {
	flights []*sched.Flight
	next    atomic.Int64
}

// pop takes the next flight, or nil.
func (b *batch) pop() *sched.Flight {
	if i := b.next.Add(1) - 1; i < int64(len(b.flights)) {
		return b.flights[i]
	}
	return nil
}

// empty takes all the flights that are left.
func (b *batch) empty() []*sched.Flight {
	n := int64(len(b.flights))
	return b.flights[min(n, b.next.Swap(n)):]
}

// handed notes that c takes f under the lock. One flight in so many is timed; if
// the feed is brisk, the clock is not worth reading for the others, and c takes
// along what else is waiting.
func (q *Feed) handed(c *carrier, f *sched.Flight) {
	q.taken++
	if q.handedOut()-q.sampled >= sampleEvery {
		q.sampled = q.handedOut()
		c.sample, c.since = f, time.Now()
		return
	}
	if f.Untimed = q.brisk; q.brisk && q.worker == nil && q.busy == 1 && len(q.kids) == 0 {
		q.worker = c
		c.batch.flights, q.lanes.queue[0] = q.lanes.queue[0], c.batch.flights[:0]
		q.lanes.waiting = 0
		c.batch.next.Store(0)
	}
}

// handedOut counts the flights that carriers have taken, with those of the
// worker's batch.
func (q *Feed) handedOut() uint64 {
	if q.worker == nil {
		return q.taken
	}
	b := &q.worker.batch
	return q.taken + uint64(min(int64(len(b.flights)), b.next.Load()))
}

// returned books that c asks for work again: its batch is used up, and its
// sample has ended, if it had one.
func (q *Feed) returned(c *carrier) {
	if q.worker == c {
		q.taken = q.handedOut()
		q.worker = nil
	}
	f := c.sample
	if c.sample = nil; f == nil || f.Waited {
		return // waiting for others is no work: it says nothing
	}
	if time.Since(c.since) >= briskFlight {
		q.unhurried()
		return
	}
	// Carriers that gather a batch wait for each other, and lanes are there to
	// be worked on side by side: then all carriers are needed.
	if q.run++; q.run >= briskRun && q.Quiet == nil && q.Distributor == nil {
		q.brisk = true
	}
}

// unhurried ends the brisk time; what the worker has not taken waits for
// anybody again.
func (q *Feed) unhurried() {
	q.brisk, q.run = false, 0
	if w := q.worker; w != nil {
		left := w.batch.empty()
		q.taken += uint64(len(w.batch.flights) - len(left))
		q.worker = nil
		q.lanes.queue[0] = slices.Insert(q.lanes.queue[0], 0, left...)
		q.lanes.waiting += len(left)
	}
}

// superfluous reports whether a carrier that asks for work may as well sleep.
func (q *Feed) superfluous() bool { return q.brisk && (q.busy > 0 || q.claiming) && !q.over }

// nap sleeps while another carrier does the work, and ends the brisk time if
// that one gets nowhere for as long as stall.
func (q *Feed) nap(c *carrier) {
	seen := q.handedOut()
	if ticked := q.sleep(c); ticked && q.handedOut() == seen {
		q.unhurried()
	}
}
