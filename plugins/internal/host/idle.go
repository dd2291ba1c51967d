package host

import "sync"

// idle keeps instances that nobody uses; the one that was given back last, whose
// memory is warm, is taken first. It may be used by several goroutines.
type idle[T any] struct {
	mu  sync.Mutex
	all []T
}

// take returns an instance, or ok false if there is none.
func (s *idle[T]) take() (instance T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.all)
	if n == 0 {
		return instance, false
	}
	instance, s.all = s.all[n-1], s.all[:n-1]
	return instance, true
}

// give keeps an instance.
func (s *idle[T]) give(instance T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, instance)
}
