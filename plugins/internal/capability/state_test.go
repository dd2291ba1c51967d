package capability

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

func put(t *testing.T, s *State, key, value string, want Code) {
	t.Helper()
	err := s.Put([]byte(key), []byte(value))
	if want == 0 && err != nil || want != 0 && (err == nil || CodeOf(err) != want) {
		t.Errorf("put %.20q = %.20q: %v, want code %d", key, value, err, want)
	}
}

func get(t *testing.T, s *State, key, want string) {
	t.Helper()
	value, err := s.Get([]byte(key))
	switch {
	case want == "" && (err == nil || CodeOf(err) != NotFound):
		t.Errorf("%q is %q (%v), want none", key, value, err)
	case want != "" && string(value) != want:
		t.Errorf("%q is %q (%v), want %q", key, value, err, want)
	}
}

func TestState(t *testing.T) {
	s := NewState(StateConfig{})
	get(t, s, "a", "")
	put(t, s, "a", "1", 0)
	put(t, s, "", "empty key", 0)
	get(t, s, "a", "1")
	get(t, s, "", "empty key")
	s.Commit()

	put(t, s, "a", "2", 0)
	put(t, s, "a", "3", 0)
	put(t, s, "b", "new", 0)
	put(t, s, "", "", 0)
	get(t, s, "a", "3")
	get(t, s, "", "")
	s.Rollback()
	get(t, s, "a", "1")
	get(t, s, "b", "")
	get(t, s, "", "empty key")

	put(t, s, "a", "", 0)
	s.Commit()
	s.Rollback()
	get(t, s, "a", "")
	if want := cost(nil, []byte("empty key")); s.Used() != want {
		t.Errorf("%d bytes are used, want %d", s.Used(), want)
	}
}

func TestStateCopiesWhatItKeeps(t *testing.T) {
	s := NewState(StateConfig{})
	key, value := []byte("key"), []byte("value")
	if err := s.Put(key, value); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Get([]byte("key"))
	key[0], value[0] = 'x', 'x'
	put(t, s, "key", "other", 0)
	if string(before) != "value" {
		t.Errorf("what Get returned became %q", before)
	}
	get(t, s, "key", "other")
}

func TestStateIsBounded(t *testing.T) {
	s := NewState(StateConfig{Size: 2*EntrySize + 20})
	put(t, s, "a", "123456789", 0)
	put(t, s, "b", "123456789", 0)
	put(t, s, "c", "1", TooLarge)
	put(t, s, "b", "1234567890", TooLarge)
	put(t, s, "b", "", 0)
	put(t, s, "c", "123456789", 0)
	put(t, s, "c", "", 0)
	s.Commit()
	put(t, s, "c", "123456789", 0)
	get(t, s, "b", "")

	s = NewState(StateConfig{})
	put(t, s, strings.Repeat("k", MaxKey), "v", 0)
	put(t, s, strings.Repeat("k", MaxKey+1), "v", TooLarge)
	put(t, s, "big", strings.Repeat("v", DefaultState), TooLarge)
}

// TestUndoIsBounded: keys that come and go leave nothing behind, within one call.
func TestUndoIsBounded(t *testing.T) {
	s := NewState(StateConfig{Size: 10 * (EntrySize + 8)})
	put(t, s, "old", "1", 0)
	s.Commit()
	for i := range 10_000 {
		key := fmt.Sprint("k", i)
		put(t, s, key, "1", 0)
		put(t, s, key, "", 0)
		put(t, s, "old", fmt.Sprint(i), 0)
	}
	if len(s.undo) > 1 {
		t.Errorf("%d entries are kept to undo one change", len(s.undo))
	}
	s.Rollback()
	get(t, s, "old", "1")
}

// TestStateAgreesWithACopy compares with the simplest thing that could be right.
func TestStateAgreesWithACopy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s, now := NewState(StateConfig{Size: 12 * (EntrySize + 3)}), map[string]string{}
	saved := maps.Clone(now)
	for range 20_000 {
		key, value := fmt.Sprint(r.IntN(20)), fmt.Sprint(r.IntN(3))
		if value == "0" {
			value = ""
		}
		switch r.IntN(20) {
		case 0:
			s.Commit()
			saved = maps.Clone(now)
		case 1:
			s.Rollback()
			now = maps.Clone(saved)
		default:
			if s.Put([]byte(key), []byte(value)) == nil {
				now[key] = value
			}
			if now[key] == "" {
				delete(now, key)
			}
		}
		var used int64
		for key, value := range now {
			used += cost([]byte(key), []byte(value))
			get(t, s, key, value)
		}
		if len(s.values) != len(now) || s.Used() != used {
			t.Fatalf("%d entries of %d bytes, want %d of %d", len(s.values), s.Used(), len(now), used)
		}
	}
}

func TestStateWithoutWritesCostsNothing(t *testing.T) {
	s := NewState(StateConfig{})
	if n := testing.AllocsPerRun(100, func() { s.Commit(); s.Rollback() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	var none *State
	none.Commit()
	none.Rollback()
}

func TestStateProblems(t *testing.T) {
	for size, want := range map[int64]int{0: 0, 1: 0, MaxState: 0, -1: 1, MaxState + 1: 1} {
		if got := (StateConfig{Size: size}).Problems(); len(got) != want {
			t.Errorf("size %d: %v", size, got)
		}
	}
}
