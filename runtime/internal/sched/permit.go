package sched

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
)

// Permit is the right to be inside a limited stage. Acquire costs one
// compare-and-swap while the stage has room; when it is full, waiters are
// served by priority and then by age.
type Permit struct {
	// free is limit - holders - waiters; it is negative while somebody waits.
	free  atomic.Int64
	limit int

	mu    sync.Mutex
	age   uint64
	queue waiterHeap
	pool  waiters
}

// NewPermit returns a permit for n holders at a time, at least 1.
func NewPermit(n int) *Permit {
	p := &Permit{limit: max(1, n)}
	p.free.Store(int64(p.limit))
	return p
}

// Limit returns how many may hold the permit at once.
func (p *Permit) Limit() int { return p.limit }

// TryAcquire takes the permit if that needs no waiting.
func (p *Permit) TryAcquire() bool {
	for {
		f := p.free.Load()
		if f <= 0 {
			return false
		}
		if p.free.CompareAndSwap(f, f-1) {
			return true
		}
	}
}

// Acquire waits for the permit; higher priorities first, older waiters first
// inside a priority. It returns the cause of ctx if that ends first, and then
// the permit is not held.
func (p *Permit) Acquire(ctx context.Context, priority int) error {
	if p.TryAcquire() {
		return nil
	}
	p.mu.Lock()
	if p.free.Add(-1) >= 0 {
		p.mu.Unlock()
		return nil
	}
	w := p.pool.get()
	w.priority, w.age = priority, p.age
	p.age++
	heap.Push(&p.queue, w)
	p.mu.Unlock()

	select {
	case <-w.ready:
		p.mu.Lock()
		p.pool.put(w)
		p.mu.Unlock()
		return nil
	case <-ctx.Done():
		p.leave(w)
		return context.Cause(ctx)
	}
}

// leave takes a waiter out of the heap. If it was served in the same moment it
// passes the permit on, so that no wake-up is lost.
func (p *Permit) leave(w *waiter) {
	p.mu.Lock()
	served := w.index < 0
	if served {
		<-w.ready
	} else {
		heap.Remove(&p.queue, w.index)
		p.free.Add(1)
	}
	p.pool.put(w)
	p.mu.Unlock()
	if served {
		p.Release()
	}
}

// Release gives the permit back, or hands it to the first waiter.
func (p *Permit) Release() {
	if p.free.Add(1) <= 0 {
		p.serve()
	}
}

// serve hands the permit to the first waiter.
func (p *Permit) serve() {
	p.mu.Lock()
	// A waiter may have left since Release looked; its leaving has
	// already been counted in free.
	if len(p.queue) > 0 {
		w := heap.Pop(&p.queue).(*waiter)
		w.ready <- struct{}{}
	}
	p.mu.Unlock()
}

type waiterHeap []*waiter

func (h waiterHeap) Len() int { return len(h) }
func (h waiterHeap) Less(i, j int) bool {
	if h[i].priority != h[j].priority {
		return h[i].priority > h[j].priority
	}
	return h[i].age < h[j].age
}
func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}
func (h *waiterHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}
