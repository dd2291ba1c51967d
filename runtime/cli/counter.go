package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// counter shows on a terminal how far a long command has come, on one line that
// it redraws. Elsewhere it shows nothing.
type counter struct {
	w    io.Writer
	what string // "exported"
	on   bool
	last time.Time
}

func (a *app) counter(what string) *counter {
	return &counter{w: a.stderr, what: what, on: isTerminal(a.stderr)}
}

// show redraws the line, a few times per second at most.
func (c *counter) show(n int64) {
	if now := time.Now(); c.on && now.Sub(c.last) >= redrawEvery {
		c.last = now
		fmt.Fprintf(c.w, "\r\x1b[K%d %s", n, c.what)
	}
}

// end removes the line.
func (c *counter) end() {
	if !c.last.IsZero() {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}

// waiting shows on a terminal for how long a single long call has been going on,
// from its second second, until the caller calls end.
func (a *app) waiting(what string) (end func()) {
	if !isTerminal(a.stderr) {
		return func() {}
	}
	return waitingOn(a.stderr, what)
}

func waitingOn(w io.Writer, what string) (end func()) {
	began, quit := time.Now(), make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case now := <-tick.C:
				fmt.Fprintf(w, "\r\x1b[K%s: %s", what, span(now.Sub(began)))
			}
		}
	})
	return func() { close(quit); shown.Wait() }
}
