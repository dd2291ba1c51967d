package egress

import (
	"context"
	"sync"
	"time"
)

// limiter spaces the requests to each host evenly. A request that must wait
// waits in the proxy, behind those that came before it; the browser sees a slow
// host. One that is given up takes no place, so a page with more requests than its
// time allows does not keep the host from those that come later.
type limiter struct {
	every time.Duration

	mu    sync.Mutex
	hosts map[string]*turn
}

// turn is whose turn it is at one host.
type turn struct {
	token chan struct{} // held by the request whose turn is next
	next  time.Time     // when it may begin; guarded by token
	users int           // requests that know this turn; guarded by limiter.mu
}

func newLimiter(r Rate) *limiter {
	if r.Requests <= 0 || r.Per <= 0 {
		return nil
	}
	return &limiter{every: r.Per / time.Duration(r.Requests), hosts: map[string]*turn{}}
}

// wait returns when it is the request's turn, or the context's error.
func (l *limiter) wait(ctx context.Context, host string) error {
	if l == nil {
		return nil
	}
	t := l.enter(host)
	defer l.leave(t)
	select {
	case t.token <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.token }()
	if left := time.Until(t.next); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.next = time.Now().Add(l.every)
	return nil
}

// maxHosts is when hosts that nobody waits for are forgotten.
const maxHosts = 1024

func (l *limiter) enter(host string) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.hosts[host]
	if t == nil {
		if len(l.hosts) >= maxHosts {
			l.forget()
		}
		t = &turn{token: make(chan struct{}, 1)}
		l.hosts[host] = t
	}
	t.users++
	return t
}

func (l *limiter) leave(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.users--
}

// forget drops hosts that could be asked at once. The caller holds the mutex.
func (l *limiter) forget() {
	for host, t := range l.hosts {
		if t.users == 0 && time.Until(t.next) <= 0 {
			delete(l.hosts, host)
		}
	}
}
