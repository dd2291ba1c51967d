package mongoconn

import (
	"testing"
	"time"
)

// near allows for what passes while a test runs; the offsets are hours.
func near(got, want time.Time) bool { return got.Sub(want).Abs() < time.Minute }

func TestClockKeepsTheSharpestLook(t *testing.T) {
	at := time.Now()
	var c clock
	c.observe(at.Add(time.Hour+4*time.Second), at, 5*time.Second)
	c.observe(at.Add(time.Hour), at, time.Millisecond)
	c.observe(at.Add(time.Hour+3*time.Second), at, 5*time.Second) // worse, and agrees within its bounds
	if c.slop != time.Millisecond || !near(c.now(), time.Now().Add(time.Hour)) {
		t.Errorf("it shows %v with an error of %v", c.now(), c.slop)
	}
	c.observe(at.Add(2*time.Hour), at, 5*time.Second) // a new primary, or its clock was set
	if !near(c.now(), time.Now().Add(2*time.Hour)) {
		t.Errorf("it shows %v, want the new primary's time", c.now())
	}
}

func TestClockForgetsOldLooks(t *testing.T) {
	at := time.Now()
	var c clock
	c.observe(at, at.Add(-2*staleAfter), time.Millisecond)
	c.observe(at.Add(2*staleAfter+time.Second), at, 5*time.Second)
	if c.slop != 5*time.Second {
		t.Errorf("a look of long ago is still trusted")
	}
}
