package meter

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A stage faster than cheap is timed once in sampleEvery calls: reading the
// clock twice costs more than such a stage.
const (
	cheap       = 10 * time.Microsecond
	sampleEvery = 64
)

// Stage counts one stage.
type Stage struct {
	Name string
	// Time has the durations of the calls that were timed.
	Time Hist

	calls    atomic.Int64
	skipped  atomic.Int64
	inFlight atomic.Int64
	peak     atomic.Int64
	mean     atomic.Int64 // moving, of the timed calls, in ns
	mu       sync.Mutex
	errors   map[string]int64
}

// Enter counts a call and reports whether to time it.
func (s *Stage) Enter() (timed bool) {
	n := s.inFlight.Add(1)
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	c := s.calls.Add(1)
	return c < sampleEvery || s.mean.Load() >= int64(cheap) || c%sampleEvery == 0
}

// Leave ends a call.
func (s *Stage) Leave() { s.inFlight.Add(-1) }

// Took records the duration of a call that was timed.
func (s *Stage) Took(d time.Duration) {
	s.Time.Record(d)
	m := s.mean.Load()
	s.mean.Store(m + (int64(d)-m)/8)
}

// Skip counts an item that the stage was not for.
func (s *Stage) Skip() { s.skipped.Add(1) }

// Failed counts an error by its code.
func (s *Stage) Failed(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errors == nil {
		s.errors = make(map[string]int64)
	}
	s.errors[code]++
}

// Calls, Skipped, InFlight and Peak read the counters: calls begun, items that
// went past, calls going on, and the most of those at a time.
func (s *Stage) Calls() int64    { return s.calls.Load() }
func (s *Stage) Skipped() int64  { return s.skipped.Load() }
func (s *Stage) InFlight() int64 { return s.inFlight.Load() }
func (s *Stage) Peak() int64     { return s.peak.Load() }

// Errors returns the errors by code.
func (s *Stage) Errors() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.errors)
}
