package capability

import "fmt"

// Bounds of a State.
const (
	// DefaultState is the size of a State whose configuration names none.
	DefaultState = 1 << 20
	// MaxState is the largest size that can be granted.
	MaxState = 1 << 30
	// MaxKey is the longest key.
	MaxKey = 1 << 10
	// EntrySize is what an entry counts besides its key and value: about what
	// keeping it takes.
	EntrySize = 64
)

// StateConfig bounds a State.
type StateConfig struct {
	// Size of all entries together in bytes, each counted as key, value and
	// EntrySize; 0 is DefaultState.
	Size int64
}

// Problems lists what is wrong with the configuration.
func (c StateConfig) Problems() []Problem {
	if c.Size < 0 || c.Size > MaxState {
		return []Problem{{"size", fmt.Sprintf("must be 1 byte to 1GiB, is %d", c.Size), ""}}
	}
	return nil
}

// State is a small map from keys to values that outlives calls. What a call puts
// is undone by Rollback and made lasting by Commit; both cost nothing if nothing
// was put. It belongs to one caller at a time. Commit and Rollback may be called
// on nil.
type State struct {
	size, used int64
	values     map[string][]byte // never changed in place: Get hands them out
	// undo has the former values of what was put since the last Commit, nil for
	// a key that was not there. It never holds more entries than there were
	// then and are now.
	undo map[string][]byte
}

// NewState returns an empty State.
func NewState(c StateConfig) *State {
	if c.Size == 0 {
		c.Size = DefaultState
	}
	return &State{size: c.Size, values: make(map[string][]byte), undo: make(map[string][]byte)}
}

// Get returns the value of a key, which the caller must not change, or
// NotFound.
func (s *State) Get(key []byte) ([]byte, error) {
	if value, ok := s.values[string(key)]; ok {
		return value, nil
	}
	return nil, fault(NotFound, "no such key")
}

// Put sets the value of a key; an empty value deletes it. Both are copied.
func (s *State) Put(key, value []byte) error {
	if len(key) > MaxKey {
		return fault(TooLarge, "a key of %d bytes, the limit is %d", len(key), MaxKey)
	}
	old := s.values[string(key)]
	used := s.used - cost(key, old) + cost(key, value)
	if used > s.size {
		return fault(TooLarge, "%d bytes of state, the limit is %d", used, s.size)
	}
	s.remember(key, old, len(value) == 0)
	s.used = used
	if len(value) == 0 {
		delete(s.values, string(key))
	} else {
		s.values[string(key)] = append([]byte(nil), value...)
	}
	return nil
}

// remember keeps the value that a key had at the last Commit. A key that comes
// and goes in between is forgotten, so that a guest cannot grow undo with keys
// that take no room.
func (s *State) remember(key, old []byte, gone bool) {
	before, known := s.undo[string(key)]
	switch {
	case !known && (old != nil || !gone):
		s.undo[string(key)] = old
	case known && before == nil && gone:
		delete(s.undo, string(key))
	}
}

func cost(key, value []byte) int64 {
	if len(value) == 0 {
		return 0
	}
	return int64(len(key)) + int64(len(value)) + EntrySize
}

// Used returns the size of all entries.
func (s *State) Used() int64 { return s.used }

// Commit makes what was put since the last Commit lasting.
func (s *State) Commit() {
	if s != nil && len(s.undo) > 0 {
		s.undo = make(map[string][]byte)
	}
}

// Rollback undoes what was put since the last Commit.
func (s *State) Rollback() {
	if s == nil {
		return
	}
	for key, old := range s.undo {
		k := []byte(key)
		s.used += cost(k, old) - cost(k, s.values[key])
		if old == nil {
			delete(s.values, key)
		} else {
			s.values[key] = old
		}
	}
	s.Commit()
}
