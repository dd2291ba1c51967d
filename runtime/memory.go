package runtime

import (
	"sync"
	"sync/atomic"
	"time"
)

// memory is what a process remembers of items that it gave back: the time that
// it worked on them, for run.deadline, and how often in a row they were given
// back without blame. It is bounded: the items that have not come back for
// longest are forgotten first, for they ended elsewhere. An item that is
// forgotten, or claimed by another process, starts anew.
type memory struct {
	size atomic.Int64 // of both maps, so that the usual case costs no lock
	mu   sync.Mutex
	// Items are put into young; when that is half of all there may be, it
	// becomes old, and what was old and has not come back is dropped.
	young, old map[string]past
}

type past struct {
	worked time.Duration
	// refunds counts how often in a row, blamed how often of these the stage
	// had served other items since the time before.
	refunds, blamed int
	served          int64
	// unwitnessed counts how often its end could not be put on record.
	unwitnessed int
	// limited counts how often in a row a limit had no room for it.
	limited int
}

const (
	maxPast        = 1 << 16
	maxBlamed      = 10  // then an unavailable stage is the item's doing
	maxRefunds     = 100 // the same for an item that is alone
	maxUnwitnessed = 10  // then an item ends without a receipt
)

func (m *memory) worked(id string) time.Duration {
	if m.size.Load() == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(id).worked
}

// toBlame books that a stage was not available for an item, and reports whether
// the item seems to be the reason: the stage served others in between, again
// and again. served is how many calls of the stage have succeeded so far.
func (m *memory) toBlame(id string, served int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.get(id)
	if p.refunds++; p.refunds > 1 && served > p.served {
		p.blamed++
	}
	p.served = served
	m.put(id, p)
	return p.blamed >= maxBlamed || p.refunds >= maxRefunds
}

// crowdedOut books that a limit had no room for an item, and returns how often in a
// row that happened before.
func (m *memory) crowdedOut(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.get(id)
	p.limited++
	m.put(id, p)
	return p.limited - 1
}

// hopeless books that an item's end could not be put on record, and reports
// whether that happened too often.
func (m *memory) hopeless(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.get(id)
	p.unwitnessed++
	m.put(id, p)
	return p.unwitnessed >= maxUnwitnessed
}

// released remembers an attempt that did not end the item.
func (m *memory) released(id string, worked time.Duration, refund bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.get(id)
	p.worked += worked
	if !refund {
		p.refunds, p.blamed, p.limited = 0, 0, 0
	}
	m.put(id, p)
}

// ended forgets an item.
func (m *memory) ended(id string) {
	if m.size.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, id)
	delete(m.old, id)
	m.count()
}

func (m *memory) get(id string) past {
	if p, ok := m.young[id]; ok {
		return p
	}
	return m.old[id]
}

func (m *memory) put(id string, p past) {
	delete(m.old, id)
	if m.young == nil || len(m.young) >= maxPast/2 {
		m.young, m.old = make(map[string]past), m.young
		delete(m.old, id)
	}
	m.young[id] = p
	m.count()
}

func (m *memory) count() { m.size.Store(int64(len(m.young) + len(m.old))) }
