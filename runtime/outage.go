package runtime

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// outage spaces out the attempts of a stage whose infrastructure is missing:
// 0.5 s, doubled once per wait up to 30 s, half of it jittered.
type outage struct {
	on    atomic.Bool
	mu    sync.Mutex
	count int
	until time.Time
}

// wait returns how long an item stays away, and whether it is more than one
// item's trouble.
func (o *outage) wait(now time.Time) (d time.Duration, lasting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.on.Store(true)
	d = min(30*time.Second, 500*time.Millisecond<<min(o.count, 6))
	if now.After(o.until) {
		o.count++
		o.until = now.Add(d)
	}
	return d/2 + rand.N(d/2+1), o.count > 1
}

// over ends the outage after a success.
func (o *outage) over() {
	if o.on.Load() {
		o.mu.Lock()
		o.count, o.until = 0, time.Time{}
		o.mu.Unlock()
		o.on.Store(false)
	}
}
