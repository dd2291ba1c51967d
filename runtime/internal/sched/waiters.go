package sched

// waiter is one goroutine that waits for its turn or for a permit. ready has
// room for one token, so that whoever serves the waiter never blocks.
type waiter struct {
	priority int
	age      uint64
	index    int // in a heap; -1 once it is out
	ready    chan struct{}
}

// waiters recycles waiters with their channels: a full stage is the normal case
// for a browser stage, and must not allocate per item either. It belongs to one
// permit or ring and is used under its lock.
type waiters struct{ spare []*waiter }

func (p *waiters) get() *waiter {
	if n := len(p.spare); n > 0 {
		w := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return w
	}
	return &waiter{ready: make(chan struct{}, 1)}
}

// put takes a waiter back; its channel is empty.
func (p *waiters) put(w *waiter) { p.spare = append(p.spare, w) }
