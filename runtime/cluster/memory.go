package cluster

import (
	"context"
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
	for name, r := range m.records {
		if strings.HasPrefix(name, prefix) && m.live(name, now) {
			r.Value = slices.Clone(r.Value)
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b pipeline.Record) int { return strings.Compare(a.Name, b.Name) })
	return out, now, nil
}

// live drops a record that has ended, and reports whether there is one.
func (m *Memory) live(name string, now time.Time) bool {
	r, ok := m.records[name]
	if ok && !r.Until.IsZero() && !now.Before(r.Until) {
		delete(m.records, name)
		return false
	}
	return ok
}

// holds reports whether a record's revision is rev; the caller holds mu.
func (m *Memory) holds(name string, rev int64, now time.Time) bool {
	if !m.live(name, now) {
		return rev == 0
	}
	return m.records[name].Revision == rev
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
	delete(m.records, name)
	return nil
}
