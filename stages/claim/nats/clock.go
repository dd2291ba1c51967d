package nats

import (
	"sync"
	"time"
)

// keepSample is how long a good sample of the server's clock is preferred to
// newer ones that took longer.
const keepSample = time.Minute

// clock is the server's clock, kept beside the machine's monotonic one. It is
// never ahead of the server by more than the drift of one sample's life, so a
// lease is not taken early.
type clock struct {
	fixed func() time.Time // in tests

	mu     sync.Mutex
	server time.Time     // what the server said
	heard  time.Time     // when it was heard here
	trip   time.Duration // how long the question took
}

// sample takes note of a time that the server told between asked and now.
func (c *clock) sample(server, asked time.Time) {
	c.sampleAt(server, asked, time.Now())
}

func (c *clock) sampleAt(server, asked, heard time.Time) {
	trip := heard.Sub(asked)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.IsZero() || trip <= c.trip || heard.Sub(c.heard) > keepSample {
		c.server, c.heard, c.trip = server, heard, trip
	}
}

// now returns the server's time in Unix milliseconds.
func (c *clock) now() int64 {
	if c.fixed != nil {
		return c.fixed().UnixMilli()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server.Add(time.Since(c.heard)).UnixMilli()
}

// millis returns Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the inverse of millis.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
