package cluster

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Memory is the records of one process, for sources that no store stands behind:
// the limits of their stages hold in this process. The zero value is ready.
type Memory struct {
	// Clock is the store's clock; nil means time.Now.
	Clock func() time.Time

	mu       sync.Mutex
	revision int64
	records  map[string]pipeline.Record
	names    []string // of all records, in order
	sweepAt  int      // how many there are when those that have ended are forgotten next
}

var _ pipeline.Records = (*Memory)(nil)

func (m *Memory) now() time.Time {
	if m.Clock != nil {
		return m.Clock()
	}
	return time.Now()
}

// Records implements pipeline.Records.
func (m *Memory) Records(ctx context.Context, prefix string) ([]pipeline.Record, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var out []pipeline.Record
	first, _ := slices.BinarySearch(m.names, prefix)
	for _, name := range m.names[first:] {
		if !strings.HasPrefix(name, prefix) {
			break
		}
		if r, ok := m.live(name, now); ok {
			r.Value = slices.Clone(r.Value)
			out = append(out, r)
		}
	}
	return out, now, nil
}

// live returns a record that has not ended; the caller holds mu.
func (m *Memory) live(name string, now time.Time) (r pipeline.Record, ok bool) {
	r, ok = m.records[name]
	return r, ok && !over(r, now)
}

func over(r pipeline.Record, now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// holds reports whether a record's revision is rev; the caller holds mu.
func (m *Memory) holds(name string, rev int64, now time.Time) bool {
	r, ok := m.live(name, now)
	if !ok {
		return rev == 0
	}
	return r.Revision == rev
}

// leastSwept is how many records there are at least before those that have ended are
// looked for; after that, twice as many as were left.
const leastSwept = 1024

// sweep forgets what has ended; the caller holds mu.
func (m *Memory) sweep(now time.Time) {
	if len(m.names) < max(leastSwept, m.sweepAt) {
		return
	}
	maps.DeleteFunc(m.records, func(_ string, r pipeline.Record) bool { return over(r, now) })
	m.names = slices.DeleteFunc(m.names, func(name string) bool { _, ok := m.records[name]; return !ok })
	m.sweepAt = 2 * len(m.names)
}

// WriteRecord implements pipeline.Records.
func (m *Memory) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if !m.holds(name, rev, now) {
		return 0, pipeline.ErrConflict
	}
	m.revision++
	r := pipeline.Record{Name: name, Value: slices.Clone(value), Revision: m.revision}
	if ttl > 0 {
		r.Until = now.Add(ttl)
	}
	if m.records == nil {
		m.records = make(map[string]pipeline.Record)
	}
	m.sweep(now)
	if at, known := slices.BinarySearch(m.names, name); !known {
		m.names = slices.Insert(m.names, at, name)
	}
	m.records[name] = r
	return r.Revision, nil
}

// DeleteRecord implements pipeline.Records.
func (m *Memory) DeleteRecord(ctx context.Context, name string, rev int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.holds(name, rev, m.now()) {
		return pipeline.ErrConflict
	}
	if at, known := slices.BinarySearch(m.names, name); known {
		m.names = slices.Delete(m.names, at, at+1)
	}
	delete(m.records, name)
	return nil
}
