package sched

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Quiet counts the carriers that have an item and are not waiting. When the
// last one starts to wait, nobody can join an open batch any more, and all open
// batches are closed. A nil *Quiet counts nothing.
type Quiet struct {
	active     atomic.Int64
	collectors []*Collector
}

// Block says that a carrier starts to wait, or has no item any more.
func (q *Quiet) Block() {
	if q != nil && q.active.Add(-1) == 0 {
		for _, c := range q.collectors {
			c.flush()
		}
	}
}

// Unblock says that n carriers go on. Whoever wakes others calls it on their
// behalf, so that the count does not dip while they are being scheduled.
func (q *Quiet) Unblock(n int) {
	if q != nil {
		q.active.Add(int64(n))
	}
}

// Collector gathers flights for a stage that is cheaper in batches. A batch is
// closed when it is full, when its oldest flight has waited for the linger, or
// when nobody is left who could join.
type Collector struct {
	max    int
	linger time.Duration
	run    func(flights []*Flight) []error
	quiet  *Quiet

	mu   sync.Mutex
	open *batch
}

type batch struct {
	flights []*Flight
	errs    []error
	ready   chan struct{} // closed when no more flights are wanted
	done    chan struct{} // closed when errs is there
	running bool
}

// NewCollector returns a collector that calls run with at most max flights; run
// returns one error per flight, or nil. It registers with q.
func NewCollector(max int, linger time.Duration, q *Quiet, run func([]*Flight) []error) *Collector {
	c := &Collector{max: max, linger: linger, run: run, quiet: q}
	q.collectors = append(q.collectors, c)
	return c
}

// Do joins a batch and returns the flight's own error. A flight whose ctx ends
// leaves a batch that has not started; one that has is waited for, because the
// stage still has the item.
func (c *Collector) Do(ctx context.Context, f *Flight) error {
	b := c.join(f)
	c.quiet.Block()
	select {
	case <-b.done:
		return b.err(f)
	case <-ctx.Done():
	}
	c.mu.Lock()
	if !b.running {
		b.remove(f)
		c.mu.Unlock()
		c.quiet.Unblock(1)
		return context.Cause(ctx)
	}
	c.mu.Unlock()
	<-b.done
	return b.err(f)
}

func (c *Collector) join(f *Flight) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.open
	if b == nil {
		b = &batch{ready: make(chan struct{}), done: make(chan struct{})}
		c.open = b
		go c.lead(b)
	}
	b.flights = append(b.flights, f)
	if len(b.flights) >= c.max {
		c.close(b)
	}
	return b
}

// lead waits for the batch to close, runs it and wakes its flights.
func (c *Collector) lead(b *batch) {
	linger := time.NewTimer(c.linger)
	defer linger.Stop()
	select {
	case <-b.ready:
	case <-linger.C:
	}
	c.mu.Lock()
	c.close(b)
	b.running = true
	c.mu.Unlock()
	if len(b.flights) > 0 {
		b.errs = c.run(b.flights)
	}
	c.quiet.Unblock(len(b.flights))
	close(b.done)
}

func (c *Collector) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		c.close(c.open)
	}
}

// close takes no more flights into b; it may be called twice.
func (c *Collector) close(b *batch) {
	if c.open == b {
		c.open = nil
		close(b.ready)
	}
}

func (b *batch) err(f *Flight) error {
	for i := range b.errs {
		if b.flights[i] == f {
			return b.errs[i]
		}
	}
	return nil
}

func (b *batch) remove(f *Flight) {
	for i := range b.flights {
		if b.flights[i] == f {
			b.flights = append(b.flights[:i], b.flights[i+1:]...)
			return
		}
	}
}
