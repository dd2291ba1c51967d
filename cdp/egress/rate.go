package egress

import (
	"context"
	"sync"
	"time"
)

// limiter spaces the requests to each host evenly. A request that must wait
// waits in the proxy; the browser sees a slow host.
type limiter struct {
	every time.Duration

	mu   sync.Mutex
	next map[string]time.Time // when a host may be asked again
}

func newLimiter(r Rate) *limiter {
	if r.Requests <= 0 || r.Per <= 0 {
		return nil
	}
	return &limiter{every: r.Per / time.Duration(r.Requests), next: map[string]time.Time{}}
}

// wait takes the next place of a host and waits for it.
func (l *limiter) wait(ctx context.Context, host string) error {
	if l == nil {
		return nil
	}
	left := time.Until(l.reserve(host, time.Now()))
	if left <= 0 {
		return nil
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// maxHosts is when hosts that nobody waits for are forgotten.
const maxHosts = 1024

// reserve returns when the request may begin. A place that is given up stays
// taken, which errs on the host's side.
func (l *limiter) reserve(host string, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.next) >= maxHosts {
		for h, at := range l.next {
			if at.Before(now) {
				delete(l.next, h)
			}
		}
	}
	at := l.next[host]
	if at.Before(now) {
		at = now
	}
	l.next[host] = at.Add(l.every)
	return at
}
