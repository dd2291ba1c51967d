package cdp

import "context"

// PID returns the number of the session's browser, which is also its group's.
func (s *Session) PID() int { return s.browser.proc.cmd.Process.Pid }

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
	if _, err := s.Has(ctx, []string{"html"}, Present); err != nil {
		return false, err
	}
	old := s.world
	if _, err := s.Navigate(ctx, url); err != nil {
		return false, err
	}
	_, err := s.tab.callFunction(ctx, on{world: old.id}, "() => 1", true)
	return stale(err), nil
}

// Free counts the places for sessions.
func (p *Pool) Free() int { return len(p.free) }

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

var (
	GroupMembers = groupMembers
	BootID       = bootID
	Identify     = identify
	CheckScheme  = checkScheme
)
