package runtime

import (
	"fmt"
	"testing"
	"time"
)

// TestMemoryDropsTheOldest: it is bounded, and items that other processes ended
// do not keep new ones out.
func TestMemoryDropsTheOldest(t *testing.T) {
	var m memory
	name := func(i int) string { return fmt.Sprint("i", i) }
	for i := range 3 * maxPast {
		m.released(name(i), time.Second, true)
		m.released("busy", time.Second, true)
		if n := m.size.Load(); n > maxPast {
			t.Fatalf("it remembers %d items", n)
		}
	}
	if m.worked(name(0)) != 0 || m.worked(name(3*maxPast-1)) != time.Second {
		t.Error("it kept the oldest or forgot the newest")
	}
	if got, want := m.worked("busy"), 3*maxPast*time.Second; got != want {
		t.Errorf("an item that comes again and again was worked on for %v, want %v", got, want)
	}
	m.ended("busy")
	if m.worked("busy") != 0 {
		t.Error("it remembers an item that ended")
	}
	for i := range 3 * maxPast {
		m.ended(name(i))
	}
	if n := m.size.Load(); n != 0 {
		t.Errorf("it remembers %d items after all of them ended", n)
	}
}
