package cdp

import (
	"context"
	"time"
)

// parked is a page that waits for its next use.
type parked struct {
	session *Session // a new one, for whoever comes next
	slot    *slot
	name    string
	since   time.Time
	expiry  *time.Timer
}

// maxParked is how many pages wait at most for each session that may be open; each
// holds some 17 MiB.
const maxParked = 4

// park keeps the page of a session that has ended for the next one with this
// name, cleared if its isolation says so. It reports whether it did.
func (p *Pool) park(sl *slot, old *Session, r Request, name string, ttl time.Duration) bool {
	s := old.browser.again(old)
	if r.Isolation == IsolatePage {
		ctx, cancel := context.WithTimeout(s.life, closeTimeout)
		err := s.wipe(ctx)
		cancel()
		if err != nil {
			p.opts.Log.Debug("page is not used again", "reason", err)
			s.end(ErrSessionClosed)
			return false
		}
	}
	k := &parked{session: s, slot: sl, name: name, since: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Err() != nil || p.life.Err() != nil || s.browser.wornOut() || len(p.parked[name]) >= p.opts.Sessions {
		s.end(ErrSessionClosed)
		return false
	}
	p.makeRoom()
	p.parked[name] = append(p.parked[name], k)
	k.expiry = time.AfterFunc(ttl, func() { p.evict(func(other *parked) bool { return other == k }) })
	return true
}

// makeRoom closes the page that waits for the longest time if there are too many.
// The caller holds the mutex.
func (p *Pool) makeRoom() {
	n, oldest, at := 0, (*parked)(nil), 0
	for _, list := range p.parked {
		n += len(list)
		for i, k := range list {
			if oldest == nil || k.since.Before(oldest.since) {
				oldest, at = k, i
			}
		}
	}
	if n >= maxParked*p.opts.Sessions {
		p.drop(oldest.name, at)
		p.closeParked(oldest)
	}
}

// unpark takes the page that was parked last, if one lives.
func (p *Pool) unpark(name string) (*Session, *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.parked[name]); n > 0; n = len(p.parked[name]) {
		k := p.parked[name][n-1]
		p.drop(name, n-1)
		if k.session.Err() == nil && !k.session.browser.wornOut() {
			k.slot.active++
			return k.session, k.slot
		}
		p.closeParked(k)
	}
	return nil, nil
}

// evict closes the parked pages that match.
func (p *Pool) evict(match func(*parked) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, list := range p.parked {
		for i := len(list) - 1; i >= 0; i-- {
			if k := list[i]; match(k) {
				p.drop(name, i)
				p.closeParked(k)
			}
		}
	}
}

// drop takes a page out of the list. The caller holds the mutex.
func (p *Pool) drop(name string, i int) {
	list := p.parked[name]
	list[i].expiry.Stop()
	if len(list) == 1 {
		delete(p.parked, name)
		return
	}
	p.parked[name] = append(append([]*parked(nil), list[:i]...), list[i+1:]...)
}

// closeParked closes a page that nobody uses again. The caller holds the mutex.
func (p *Pool) closeParked(k *parked) {
	k.session.end(ErrSessionClosed)
	if p.life.Err() == nil {
		p.background.Go(func() { p.dispose(k.session) })
	}
}
