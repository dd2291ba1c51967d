package runtime

import (
	"sync"
	"sync/atomic"
	"time"
)

// memory is what a process remembers of items that it gave back: the time that
// it worked on them, for run.deadline, and how often in a row they were given
// back without blame. It is bounded; an item that is forgotten, or claimed by
// another process, starts anew.
type memory struct {
	size  atomic.Int64 // len(items), so that the usual case costs no lock
	mu    sync.Mutex
	items map[string]past
}

type past struct {
	worked time.Duration
	// refunds counts how often in a row, blamed how often of these the stage
	// had served other items since the time before.
	refunds, blamed int
	served          int64
}

const (
	maxPast    = 1 << 16
	maxBlamed  = 10  // then an unavailable stage is the item's doing
	maxRefunds = 100 // the same for an item that is alone
)

func (m *memory) worked(id string) time.Duration {
	if m.size.Load() == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[id].worked
}

// toBlame books that a stage was not available for an item, and reports whether
// the item seems to be the reason: the stage served others in between, again
// and again. served is how many calls of the stage have succeeded so far.
func (m *memory) toBlame(id string, served int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.items[id]
	if p.refunds++; p.refunds > 1 && served > p.served {
		p.blamed++
	}
	p.served = served
	m.put(id, p)
	return p.blamed >= maxBlamed || p.refunds >= maxRefunds
}

// released remembers an attempt that did not end the item.
func (m *memory) released(id string, worked time.Duration, refund bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.items[id]
	p.worked += worked
	if !refund {
		p.refunds, p.blamed = 0, 0
	}
	m.put(id, p)
}

func (m *memory) put(id string, p past) {
	if _, known := m.items[id]; !known && len(m.items) >= maxPast {
		return
	}
	if m.items == nil {
		m.items = make(map[string]past)
	}
	m.items[id] = p
	m.size.Store(int64(len(m.items)))
}

// ended forgets an item.
func (m *memory) ended(id string) {
	if m.size.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, id)
	m.size.Store(int64(len(m.items)))
}
