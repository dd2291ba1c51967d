package cdp

import (
	"context"
	"testing"
	"time"
)

// PID returns the number of the session's browser, which is also its group's.
func (s *Session) PID() int { return s.browser.host.pid() }

// ProfileDir returns the folder of the session's browser.
func (s *Session) ProfileDir() string { return s.browser.profile.dir }

// Renderer is what the kernel says about a page process.
type Renderer struct {
	PID          int
	UID, Seccomp string
}

// Renderers lists the page processes of the session's browser.
func (s *Session) Renderers() (out []Renderer) {
	for _, r := range renderers(s.PID()) {
		out = append(out, Renderer{r.pid, r.uid, r.seccomp})
	}
	return out
}

// CrashPage navigates to Chrome's own page that crashes the renderer.
func (s *Session) CrashPage() {
	go func() { _, _ = s.tab.navigate(s.life, "chrome://crash") }()
}

// CloseTarget closes the page behind the session's back.
func (s *Session) CloseTarget(ctx context.Context) error {
	return s.browser.wire.closeTarget(ctx, s.tab.targetID)
}

// Targets counts the pages in the session's browser context.
func (s *Session) Targets(ctx context.Context) (int, error) { return s.tab.pages(ctx) }

// StaleWorld replaces the document under a world, calls into the old one, and
// reports whether the failure is recognised.
func (s *Session) StaleWorld(ctx context.Context, url string) (bool, error) {
	if _, err := s.Has(ctx, At("html"), Present); err != nil {
		return false, err
	}
	old := s.world
	if _, err := s.Navigate(ctx, url); err != nil {
		return false, err
	}
	_, err := s.tab.callFunction(ctx, on{world: old.id}, "() => 1", true)
	return stale(err), nil
}

// AllTargets counts the pages of the session's browser.
func (s *Session) AllTargets(ctx context.Context) (n int, err error) {
	pages, err := s.browser.wire.pages(ctx)
	for _, of := range pages {
		n += of
	}
	return n, err
}

// Links counts the protocol sessions of the session's browser, with its own.
func (s *Session) Links() int {
	c := s.browser.wire.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.links)
}

// CheckMemory does what the pool does every half a minute.
func (p *Pool) CheckMemory(shut bool) bool { return p.checkMemory(shut) }

// Strike is a page that did not close in time.
func (s *Session) Strike() { s.browser.strike("close") }

// Free counts the places for sessions.
func (p *Pool) Free() int { return Gate{p.gate}.Places() }

// Live counts the browsers that a pool runs.
func (p *Pool) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, sl := range p.slots {
		if sl.browser != nil && sl.browser.alive() {
			n++
		}
	}
	return n
}

// TargetID names the session's page.
func (s *Session) TargetID() string { return s.tab.targetID }

// Settle waits until the pages of closed sessions are closed or parked.
func (p *Pool) Settle(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		st, leases := p.Stats(), 0
		for _, b := range p.browsers() {
			b.mu.Lock()
			leases += b.leases
			b.mu.Unlock()
		}
		if leases == st.Open+st.Parked {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pages, %+v", leases, st)
		}
		time.Sleep(time.Millisecond)
	}
}

// Gate is the gate of a pool.
type Gate struct{ *gate }

func NewGate(places, waiters int) Gate { return Gate{newGate(places, waiters)} }
func (g Gate) Enter(ctx, life context.Context, group string) error {
	return g.enter(ctx, life, group)
}
func (g Gate) Leave()         { g.leave() }
func (g Gate) SetShut(s bool) { g.setShut(s) }
func (g Gate) Places() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.free
}

var (
	TooFull      = tooFull
	GroupMemory  = groupMemory
	GroupMembers = groupMembers
	BootID       = bootID
	Identify     = identify
	CheckScheme  = checkScheme
)
