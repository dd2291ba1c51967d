package sched

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

const spins = 4

// Ring lets numbered flights pass one at a time in the order of their numbers,
// whatever order they arrive in. Every number that was given out must Leave
// once, also if it never waits. The window between the oldest number that has
// not left and the newest that has is a ring of slots; it starts at the number
// of carriers and grows only when flights end before the ordered stage while an
// older one is held up.
type Ring struct {
	head atomic.Uint64

	mu    sync.Mutex
	slots []slot
	pool  waiters
}

// slot is one number: it has left, or somebody waits for it, or neither.
type slot struct {
	left bool
	wait *waiter
}

// NewRing returns a ring whose first number is 0.
func NewRing(size int) *Ring {
	n := 2
	for n < size {
		n <<= 1
	}
	return &Ring{slots: make([]slot, n)}
}

// Wait returns when all numbers below seq have left, or with the cause of ctx.
func (r *Ring) Wait(ctx context.Context, seq uint64) error {
	for range spins {
		if r.head.Load() == seq {
			return nil
		}
		runtime.Gosched() // those in front are often quicker than falling asleep
	}
	r.mu.Lock()
	if r.head.Load() == seq {
		r.mu.Unlock()
		return nil
	}
	w := r.pool.get()
	r.slot(seq).wait = w
	r.mu.Unlock()
	var err error
	select {
	case <-w.ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if s := r.slot(seq); s.wait == w {
			s.wait = nil
		} else {
			<-w.ready // served in the same moment
		}
	}
	r.pool.put(w)
	return err
}

// Leave says that seq has passed or will never come, and wakes the next.
func (r *Ring) Leave(seq uint64) {
	r.mu.Lock()
	r.slot(seq).left = true
	head := r.head.Load()
	for s := r.slot(head); s.left; s = r.slot(head) {
		s.left = false
		head++
	}
	r.head.Store(head)
	if s := r.slot(head); s.wait != nil {
		s.wait.ready <- struct{}{}
		s.wait = nil
	}
	r.mu.Unlock()
}

// slot returns the slot of seq, which is never below the head.
func (r *Ring) slot(seq uint64) *slot {
	head := r.head.Load()
	for seq-head >= uint64(len(r.slots)) {
		grown := make([]slot, 2*len(r.slots))
		for i := range uint64(len(r.slots)) {
			grown[(head+i)%uint64(len(grown))] = r.slots[(head+i)%uint64(len(r.slots))]
		}
		r.slots = grown
	}
	return &r.slots[seq&uint64(len(r.slots)-1)]
}

// Turn is a flight's place in the order. The zero Turn is in no order. A
// child's turn is a place among its siblings, inside its parent's turn.
type Turn struct {
	ring   *Ring
	seq    uint64
	parent *Turn
	left   bool
}

// NewTurn returns place seq of ring, inside the turn of a parent or nil.
func NewTurn(ring *Ring, seq uint64, parent *Turn) Turn {
	return Turn{ring: ring, seq: seq, parent: parent}
}

// Wait returns when it is the flight's turn, at once if it has it already.
func (t *Turn) Wait(ctx context.Context) error {
	for ; t != nil && t.ring != nil && !t.left; t = t.parent {
		if err := t.ring.Wait(ctx, t.seq); err != nil {
			return err
		}
	}
	return nil
}

// Ready reports whether Wait would return at once.
func (t *Turn) Ready() bool {
	for ; t != nil && t.ring != nil && !t.left; t = t.parent {
		if t.ring.head.Load() != t.seq {
			return false
		}
	}
	return true
}

// Leave gives the turn to the next, once.
func (t *Turn) Leave() {
	if t.ring != nil && !t.left {
		t.left = true
		t.ring.Leave(t.seq)
	}
}

// Before orders two turns: by the outermost numbers first, then inside.
func (t *Turn) Before(u *Turn) bool {
	a, b := t.path(nil), u.path(nil)
	for i := 0; i < min(len(a), len(b)); i++ {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}

func (t *Turn) path(out []uint64) []uint64 {
	if t.parent != nil {
		out = t.parent.path(out)
	}
	return append(out, t.seq)
}
