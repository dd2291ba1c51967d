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

	// state is calls begun << inBits | calls going on: two counters for one
	// atomic addition, which is most of what counting costs.
	state   atomic.Int64
	peak    atomic.Int64
	mean    atomic.Int64 // moving, of the timed calls, in ns
	skipped atomic.Int64
	mu      sync.Mutex
	errors  map[string]int64
	failed  int64
	samples []Sample // by bucket
}

const (
	inBits = 20 // a million carriers; leaves 2^43 calls
	inMask = 1<<inBits - 1
)

// Enter counts a call and reports whether to time it.
func (s *Stage) Enter() (timed bool) {
	state := s.state.Add(1<<inBits + 1)
	n, c := state&inMask, state>>inBits
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	return c < sampleEvery || c%sampleEvery == 0 || s.mean.Load() >= int64(cheap)
}

// Leave ends a call.
func (s *Stage) Leave() { s.state.Add(-1) }

// Took records the duration of a call that was timed.
func (s *Stage) Took(d time.Duration) {
	s.Time.Record(d)
	m := s.mean.Load()
	s.mean.Store(m + (int64(d)-m)/8)
}

// Skip counts an item that the stage was not for.
func (s *Stage) Skip() { s.skipped.Add(1) }

// Failed counts the error of a call, by its code.
func (s *Stage) Failed(code string) { s.count(code, 1) }

// Refused counts the error of a call that did not begin.
func (s *Stage) Refused(code string) { s.count(code, 0) }

func (s *Stage) count(code string, failed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errors == nil {
		s.errors = make(map[string]int64)
	}
	s.errors[code]++
	s.failed += failed
}

// Calls returns how many calls have begun.
func (s *Stage) Calls() int64 { return s.state.Load() >> inBits }

// InFlight returns how many calls are going on.
func (s *Stage) InFlight() int64 { return s.state.Load() & inMask }

// Peak returns the most calls that went on at a time.
func (s *Stage) Peak() int64 { return s.peak.Load() }

// Skipped returns how many items the stage was not for.
func (s *Stage) Skipped() int64 { return s.skipped.Load() }

// Succeeded returns how many calls have ended without an error.
func (s *Stage) Succeeded() int64 {
	state := s.state.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return state>>inBits - state&inMask - s.failed
}

// Errors returns the errors by code.
func (s *Stage) Errors() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.errors)
}
