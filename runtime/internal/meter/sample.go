package meter

import "time"

// Sample is one call that can be looked up: the trace that it belongs to.
type Sample struct {
	TraceID string
	Took    time.Duration
	At      time.Time
}

// Sample keeps a timed call of a sampled item as an example, the newest one for
// each order of magnitude (powers of four).
func (s *Stage) Sample(took time.Duration, traceID string) {
	magnitude := 0
	for d := took; d > time.Microsecond; d >>= 2 {
		magnitude++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.samples) <= magnitude {
		s.samples = append(s.samples, Sample{})
	}
	s.samples[magnitude] = Sample{traceID, took, time.Now()}
}

// Samples returns the calls that were kept.
func (s *Stage) Samples() (out []Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.samples {
		if x.TraceID != "" {
			out = append(out, x)
		}
	}
	return out
}
