package claimmodel

import "fmt"

const (
	maxWorkers  = 3
	maxItems    = 2
	producers   = 2
	settlers    = 2
	lease       = 2 // ticks
	shortLease  = 1 // of the second rule
	deadline    = 3 // ticks from the start
	skew        = 2 // ticks by which the first worker's clock is fast
	maxAttempts = 1
)

// An item's state.
const (
	absent = iota
	ready
	leased
	done
	dead
)

// item is what the store has, and below it what really happened: the ghost that
// invariants are about and no condition may read.
type item struct {
	state     uint8
	attempts  int8
	expired   bool
	cancelled bool
	recalled  bool // dead, and about to be ready: whoever settles the key counts it
	readmit   int8 // of a recalled one: how far its operator is with making it ready behind another
	left      int8 // of the lease, in the clock that gave it
	sinceTake int8 // since the claim, at most shortLease
	deadline  int8 // what is left until then; none: it has no deadline

	holder   int8 // whose the lease is, or nobody
	promised int8 // what is left of the lease that was promised
	runs     int8 // claims that ran it and were not refunded
	noMore   bool // cancelled, and not retried since
}

const (
	nobody = -1
	none   = -1
)

// What a worker is about.
const (
	idle      = iota
	found     // an item, to claim
	holding   // a claim
	unsure    // whether its acknowledgement was written
	unsureOff // whether it has given the item back
)

type worker struct {
	phase     uint8
	item      uint8
	current   bool // its token is still the item's
	condemned bool
	end       uint8 // done or dead: its acknowledgement
	refund    bool  // of giving back
}

// What a producer is about.
const (
	unborn  = iota
	checked // that the idempotency key is free
	told
)

// settler is somebody who passes a key's turn on, in two steps: it looks who is
// next, and writes.
type settler struct {
	looked bool
	next   int8 // the item that is to get the turn
	voided bool // it has voided what others saw before a recalled item is ready
	void   bool // an older item was retried since the look
}

// state is everything. It is comparable, and small: there are many.
type state struct {
	items     [maxItems]item
	workers   [maxWorkers]worker
	producers [producers]uint8
	// stored says that whose turn it is stands in the store, and that each change of
	// it is a write of its own; turn is the item that has it, or nobody.
	stored   bool
	turnOf   int8
	settlers [settlers]settler
}

// start is a world at its beginning.
func (w World) start() state {
	s := state{producers: [producers]uint8{told, told}, turnOf: nobody}
	for i := range s.items {
		s.items[i] = item{deadline: none, holder: nobody}
	}
	switch w {
	case OneItem:
		s.items[0].state, s.items[0].deadline = ready, deadline
	case OneKey, StoredTurn:
		s.items[0].state, s.items[1].state = ready, ready
		s.stored = w == StoredTurn
	case OneIdempotencyKey:
		s.producers = [producers]uint8{}
	}
	return s
}

// ended reports whether the item is at its end.
func (it *item) ended() bool { return it.state == done || it.state == dead }

// late reports whether the deadline has passed.
func (it *item) late() bool { return it.deadline == 0 }

// condemned reports whether the item may not run any more.
func (it *item) condemned() bool {
	return it.cancelled || it.late() || it.expired && it.attempts >= maxAttempts
}

// turn reports whether no other item of the key is leased and no older one is
// ready. All items have the same key.
func (s *state) turn(i int) bool {
	for j := range s.items {
		if j != i && s.items[j].state == leased || j < i && s.items[j].state == ready {
			return false
		}
	}
	return true
}

// claimable reports whether a claim that has found the item may take it.
func (s *state) claimable(i int) bool {
	if s.stored {
		return int(s.turnOf) == i
	}
	return s.turn(i)
}

// tick moves the clock.
func (s *state) tick() {
	for i := range s.items {
		it := &s.items[i]
		it.sinceTake = min(it.sinceTake+1, shortLease)
		it.promised = max(it.promised-1, 0)
		it.left = max(it.left-1, 0)
		if it.deadline > 0 {
			it.deadline--
		}
	}
}

// leave ends the lease of an item, and with it its turn.
func (s *state) leave(i int, to uint8) {
	s.items[i].leave(to)
	if int(s.turnOf) == i {
		s.turnOf = nobody
	}
}

// leave ends the lease, for the store and in truth. Of what has ended only the
// deadline matters still: that is what retry looks at.
func (it *item) leave(to uint8) {
	it.state, it.left, it.sinceTake, it.holder, it.promised = to, 0, 0, nobody, 0
	if it.ended() {
		*it = item{state: to, deadline: it.deadline, holder: nobody}
	}
}

var stateNames = [...]string{"absent", "ready", "leased", "done", "dead"}

func name(i int) string { return fmt.Sprintf("item %d", i+1) }
