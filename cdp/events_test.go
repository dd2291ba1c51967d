package cdp

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Between two navigations a page can go on for ever; what is kept of it may not.
func TestNavigationEventsAreBounded(t *testing.T) {
	p := newPageEvents()
	p.setFrame("main")
	for i := range 10 * maxRedirects {
		loader := strconv.Itoa(i)
		p.handle(evRequest{"main", "https://example.com/"})
		p.handle(evRequest{"iframe", "https://example.com/ad"})
		p.handle(evResponse{loader, "main", 204})
		p.handle(evResponse{loader, "iframe", 200})
	}
	if n := len(p.takeRedirects()); n != maxRedirects {
		t.Errorf("%d redirects are kept, want %d", n, maxRedirects)
	}
	if n := len(p.status); n > maxAnswers {
		t.Errorf("%d statuses are kept, want %d at most", n, maxAnswers)
	}
	p.handle(evResponse{"new", "main", 200})
	p.handle(evCommitted{frame: "main", loader: "new", url: "https://example.com/new", main: true})
	if diff := cmp.Diff(Page{URL: "https://example.com/new", Status: 200}, p.state().Page); diff != "" {
		t.Error(diff)
	}
}

// A page may crash before its session is known to the browser.
func TestCrashWhileOpening(t *testing.T) {
	b := &browser{life: context.Background(), sessions: map[string]*Session{}, early: map[string]string{}}
	b.crashed("popup", "crashed") // nobody's
	b.beginOpen()
	b.beginOpen()
	b.crashed("a", "oom")
	sessions := map[string]*Session{}
	for _, id := range []string{"a", "b"} {
		s := newSession(b)
		b.register(id, s)
		b.endOpen()
		sessions[id] = s
	}
	if err := sessions["a"].Err(); !errors.Is(err, ErrPageCrashed) {
		t.Errorf("the session of the crashed page: %v", err)
	}
	if err := sessions["b"].Err(); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	if len(b.early) != 0 {
		t.Errorf("kept for ever: %v", b.early)
	}
	for _, s := range sessions {
		s.end(nil)
	}
}
