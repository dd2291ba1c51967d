package cdp

import (
	"context"
	"fmt"
	"net/url"
	"slices"
)

// Clearing a page for its next use (IsolatePage).

// visited notes the origin of a document. More than one is too many to clear:
// what a tab stores for an origin (sessionStorage) can only be cleared while a
// document of that origin is shown.
func (p *pageEvents) visited(address string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" { // about:blank, about:srcdoc, data:
		return
	}
	origin := u.Scheme + "://" + u.Host
	if len(p.origins) < 2 && !slices.Contains(p.origins, origin) {
		p.origins = append(p.origins, origin)
	}
}

// trace returns the one origin that was visited (empty: none), and whether
// everything it left can be cleared.
func (p *pageEvents) trace() (origin string, clearable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.origins) > 0 {
		origin = p.origins[0]
	}
	return origin, len(p.origins) < 2 && !p.foreign
}

// wipe clears what the page's last use left, sees that the page is blank and
// alone, and fails if it cannot be sure of that.
func (s *Session) wipe(ctx context.Context) error {
	origin, clearable := s.events.trace()
	if !clearable {
		return fmt.Errorf("the page was at more than one origin")
	}
	if origin != "" {
		// From here on the page's scripts can store nothing any more.
		id, err := s.tab.silenced(ctx)
		if err != nil {
			return err
		}
		r, err := s.tab.callFunction(ctx, on{world: id}, "() => { sessionStorage.clear(); return true }", true)
		if err != nil || string(r.value) != "true" {
			return fmt.Errorf("clear the storage of the tab: %v %s", err, r.exception)
		}
	}
	if _, err := s.Navigate(ctx, "about:blank"); err != nil {
		return err
	}
	got, err := s.tab.clear(ctx, origin, `window.name = "", location.href + history.length`)
	if err != nil {
		return err
	}
	if got != `"about:blank1"` {
		return fmt.Errorf("the page shows %.100s", got)
	}
	if n, err := s.tab.pages(ctx); err != nil || n != 1 {
		return fmt.Errorf("%d pages are open: %v", n, err)
	}
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	s.events.origins = nil
	return nil
}
