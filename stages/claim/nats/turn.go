package nats

import (
	"container/heap"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/bell"
)

// item is an item as the replica knows it.
type item struct {
	itemRecord
	seq  uint64 // of its message: its age, and which item of this id it is
	st   stateRecord
	rev  uint64 // sequence of the last message on its state's subject
	told bool   // that message is its own, and not of an earlier item of this id
	key  *key   // nil without one
	lane int    // that of its key
	gone bool   // dropped, or of a call that was undone
	busy bool   // this process is about to claim it

	inKey, listed bool  // it is in its key's heap, in its priority's
	delayedAt     int64 // the live entry of the heap of delays; 0 is none
}

// key is a group of items that run one at a time.
type key struct {
	name   string
	last   uint64 // sequence of the last state message of any of its items
	items  int
	leased int
	busy   bool // this process is about to claim one of its items
	ready  bySeq
}

// deadline returns when the item is late; 0 is never.
func (x *item) deadline() int64 {
	if x.st.NoDeadline {
		return 0
	}
	return x.Deadline
}

func (x *item) late(now int64) bool { return x.deadline() > 0 && x.deadline() <= now }

// wake returns when a delayed item is claimable; 0: it is not delayed.
func (x *item) wake() int64 {
	if x.st.Cancelled {
		return 0
	}
	if d := x.deadline(); d > 0 && d < x.st.NotBefore {
		return d
	}
	return x.st.NotBefore
}

func (x *item) ready() bool { return !x.gone && x.st.State == pipeline.StateReady }

// free reports whether nobody has the item.
func (x *item) free() bool { return x.ready() && !x.busy && x.st.Moving == nil }

// hasTurn reports whether no other item of its key is leased or goes before it.
func (x *item) hasTurn() bool {
	return x.key == nil || x.key.leased == 0 && !x.key.busy && x.key.head() == x
}

// head returns the key's oldest ready item, or nil.
func (k *key) head() *item {
	for len(k.ready) > 0 {
		if x := k.ready[0]; x.ready() {
			return x
		}
		heap.Pop(&k.ready).(*item).inKey = false
	}
	return nil
}

// turns decides whose turn it is. Its heaps are lazy: an item that may not be
// claimed any more stays until it comes to the top and is thrown away there, and
// whatever makes an item claimable offers it again.
type turns struct {
	byPriority [10]shelf
	delayed    delays
	picks      int64            // so far, for ageing
	lanes      pipeline.LaneSet // of the last claim
	bell       *bell.Bell
	beaten     time.Time // when another process was last faster with an item
}

// agedEvery: of this many claims one takes the oldest item whatever its
// priority, so that nothing starves.
const agedEvery = 8

// A process that was beaten to an item chooses by lot for as long as crowded, for each
// item that it wants among so many of the first: else all processes that want one at
// the same moment write for the same item, and all but one in vain.
const (
	crowded   = time.Second
	lot       = 8
	mostDrawn = 64 // however many items a claim wants
)

// settle offers the item whose turn it is after x has changed.
func (t *turns) settle(x *item) {
	if x.key == nil {
		t.offer(x)
		return
	}
	if x.ready() && !x.inKey {
		x.inKey = true
		heap.Push(&x.key.ready, x)
	}
	if head := x.key.head(); head != nil {
		t.offer(head)
	}
}

// offer lists an item, at once or after its delay.
func (t *turns) offer(x *item) {
	if !x.free() || !x.hasTurn() {
		return
	}
	if at := x.wake(); at > 0 && at != x.delayedAt {
		x.delayedAt = at
		heap.Push(&t.delayed, delay{at, x})
	} else if at == 0 {
		t.list(x)
	}
}

func (t *turns) list(x *item) {
	if x.listed {
		return
	}
	x.listed = true
	t.byPriority[x.Priority].push(x)
	if x.lane == keyless || t.lanes.Has(x.lane) {
		t.wake()
	}
}

// wake tells who waits that a claim may find more now.
func (t *turns) wake() { t.bell.Ring() }

// promote lists the items whose delay is over.
func (t *turns) promote(now int64) {
	for len(t.delayed) > 0 && (t.delayed[0].at <= now || !t.delayed[0].live()) {
		if d := heap.Pop(&t.delayed).(delay); d.live() {
			d.x.delayedAt = 0
			if d.x.free() && d.x.hasTurn() {
				t.list(d.x)
			}
		}
	}
}

// pick takes the next item of these lanes and marks it and its key busy; nil if
// there is none. wanted is how many the claim is to have.
func (t *turns) pick(now int64, lanes pipeline.LaneSet, wanted int) *item {
	t.lanes = lanes
	aged := (t.picks+1)%agedEvery == 0
	best := t.next(now, lanes, aged)
	if best == nil {
		return nil
	}
	t.byPriority[best.Priority].pop(best.lane)
	if !aged && time.Since(t.beaten) < crowded {
		best = t.draw(best, rand.N(min(lot*wanted, mostDrawn)), now, lanes)
	}
	t.picks++
	best.listed, best.busy = false, true
	if best.key != nil {
		best.key.busy = true
	}
	return best
}

// next returns the oldest claimable item of the highest priority, or of all.
func (t *turns) next(now int64, lanes pipeline.LaneSet, aged bool) (best *item) {
	t.promote(now)
	for p := len(t.byPriority) - 1; p >= 0; p-- {
		x := t.first(p, now, lanes)
		if x != nil && (best == nil || x.seq < best.seq) {
			best = x
		}
		if best != nil && !aged {
			break
		}
	}
	return best
}

// draw takes the item of the same priority that is so many places behind one that was
// taken, or the last one, and puts back what is before it.
func (t *turns) draw(best *item, places int, now int64, lanes pipeline.LaneSet) *item {
	s := &t.byPriority[best.Priority]
	var passed []*item
	for range places {
		x := t.first(best.Priority, now, lanes)
		if x == nil {
			break
		}
		s.pop(x.lane)
		passed, best = append(passed, best), x
	}
	for _, x := range passed {
		s.push(x)
	}
	return best
}

// oldest returns the claimable item that waits longest, of all lanes.
func (t *turns) oldest(now int64) (best *item) {
	t.promote(now)
	for p := range t.byPriority {
		if x := t.first(p, now, pipeline.AllLanes); x != nil && (best == nil || x.seq < best.seq) {
			best = x
		}
	}
	return best
}

// first returns the oldest claimable item of a priority.
func (t *turns) first(priority int, now int64, lanes pipeline.LaneSet) (best *item) {
	s := &t.byPriority[priority]
	for filled := s.filled & lanes; filled != 0; filled &= filled - 1 {
		if x := t.top(s, bits.TrailingZeros64(uint64(filled)), now); x != nil && (best == nil || x.seq < best.seq) {
			best = x
		}
	}
	if x := t.top(s, keyless, now); x != nil && (best == nil || x.seq < best.seq) {
		best = x
	}
	return best
}

// top returns the oldest claimable item of a lane.
func (t *turns) top(s *shelf, lane int, now int64) *item {
	for len(s.lanes[lane]) > 0 {
		x := s.lanes[lane][0]
		if x.free() && x.hasTurn() && x.wake() <= now {
			return x
		}
		s.pop(lane)
		x.listed = false
		if x.wake() > now {
			t.offer(x)
		}
	}
	return nil
}

// release ends what pick began.
func (t *turns) release(x *item) {
	x.busy = false
	if x.key != nil {
		x.key.busy = false
	}
	t.settle(x)
}

// waiting counts the items that only their time keeps from being claimable, and
// says when the first is.
func (t *turns) waiting(now int64) (n, next int64) {
	t.promote(now)
	for _, d := range t.delayed {
		if !d.live() || d.at != d.x.wake() || !d.x.free() || !d.x.hasTurn() {
			continue
		}
		if n++; next == 0 || d.at < next {
			next = d.at
		}
	}
	return n, next
}
