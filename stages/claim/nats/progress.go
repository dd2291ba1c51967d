package nats

import (
	"context"
	"slices"
	"sync"
)

// progress is how far a process has read a stream.
type progress struct {
	mu      sync.Mutex
	applied uint64 // sequence of the last message read
	waiters []waiter
}

type waiter struct {
	seq uint64
	ch  chan struct{}
}

// done returns the sequence up to which everything was read.
func (p *progress) done() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied
}

// advance notes that everything up to seq was read.
func (p *progress) advance(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = max(p.applied, seq)
	p.waiters = slices.DeleteFunc(p.waiters, func(w waiter) bool {
		if w.seq > p.applied {
			return false
		}
		close(w.ch)
		return true
	})
}

// wait returns when everything up to seq was read.
func (p *progress) wait(ctx context.Context, seq uint64) error {
	p.mu.Lock()
	if p.applied >= seq {
		p.mu.Unlock()
		return nil
	}
	w := waiter{seq, make(chan struct{})}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	select {
	case <-w.ch:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiters = slices.DeleteFunc(p.waiters, func(o waiter) bool { return o.ch == w.ch })
		return ctx.Err()
	}
}
