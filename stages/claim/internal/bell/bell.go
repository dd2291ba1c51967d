// Package bell wakes one process of many that wait for the same items.
//
// All of them hear of an item that has become claimable, and one gets it. So each
// waits for a random part of a time before it claims, and then looks whether there
// is still something. That time is found out: it doubles whenever a process was
// woken for nothing, and shrinks by a quarter whenever it claimed something. One
// process alone does not wait at all; of many, less than one in two claims of an
// item comes to nothing, however many there are.
package bell

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// least is the first spread, and the one below which there is none.
	least = 2 * time.Millisecond
	// most is how long an item waits at most for the process that is to be woken for
	// it; with n processes it waits for a part of n+1 of it.
	most = 100 * time.Millisecond
)

// Bell is what a queue's Wakes hears. Make it with New.
type Bell struct {
	wakes chan struct{}
	more  func() bool

	mu      sync.Mutex
	spread  time.Duration
	rung    bool // since the last claim
	pending *time.Timer
	closed  bool
}

// New returns a bell. more is asked after a wait whether a claim may still find
// something; it may take its time.
func New(more func() bool) *Bell { return &Bell{wakes: make(chan struct{}, 1), more: more} }

// Wakes is the channel of pipeline.Waker.
func (b *Bell) Wakes() <-chan struct{} { return b.wakes }

// Now wakes at once: this process itself has made an item claimable. It never
// blocks.
func (b *Bell) Now() {
	select {
	case b.wakes <- struct{}{}:
	default: // it was told already
	}
}

// Ring wakes when it is this process's turn to look. It never blocks.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending != nil || b.closed {
		return
	}
	if b.spread == 0 {
		b.rung = true
		b.Now()
		return
	}
	b.pending = time.AfterFunc(rand.N(b.spread), b.look)
}

// look is the end of a wait.
func (b *Bell) look() {
	b.mu.Lock()
	b.pending = nil // what comes from here on rings anew
	closed := b.closed
	b.mu.Unlock()
	if closed || !b.more() {
		return
	}
	b.mu.Lock()
	b.rung = true
	b.mu.Unlock()
	b.Now()
}

// Claimed says how many items a claim got.
func (b *Bell) Claimed(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case n > 0:
		if b.spread -= b.spread / 4; b.spread < least {
			b.spread = 0
		}
	case b.rung:
		b.spread = min(max(least, 2*b.spread), most)
	}
	b.rung = false
}

// Close ends the waits.
func (b *Bell) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.pending != nil {
		b.pending.Stop()
	}
}
