package cdp

import (
	"context"
	"strings"
)

// GoBack goes to the page before in the session's history and waits for it.
func (s *Session) GoBack(ctx context.Context) (Page, error) { return s.travel(ctx, -1, "back") }

// GoForward goes to the next page in the session's history and waits for it.
func (s *Session) GoForward(ctx context.Context) (Page, error) { return s.travel(ctx, 1, "forward") }

func (s *Session) travel(ctx context.Context, step int64, word string) (Page, error) {
	return s.move(ctx, "the page to go "+word, func(ctx context.Context) error {
		ok, err := s.tab.travel(ctx, step)
		if err == nil && !ok {
			err = &StateError{"there is no page to go " + word + " to"}
		}
		return err
	})
}

// Reload loads the page again and waits for it.
func (s *Session) Reload(ctx context.Context) (Page, error) {
	return s.move(ctx, "the page to load again", s.tab.reload)
}

// move starts a navigation and waits for it.
func (s *Session) move(ctx context.Context, what string, start func(context.Context) error) (Page, error) {
	err := s.do(ctx, what, func(ctx context.Context) error {
		before := s.state()
		if err := start(ctx); err != nil {
			return err
		}
		return s.arrive(ctx, before)
	})
	return s.Page(), err
}

// arrive waits until the page has navigated, in or out of the document, and is
// loaded.
func (s *Session) arrive(ctx context.Context, before pageState) error {
	for {
		st := s.events.state()
		if st.commits > before.commits+maxCommits {
			return &NavigationError{Code: "net::ERR_TOO_MANY_REDIRECTS", URL: st.URL, Detail: "the page navigates on and on by itself"}
		}
		if st.commits > before.commits && st.loaded || st.commits == before.commits && st.moves > before.moves {
			return s.reached(before, st)
		}
		select {
		case <-ctx.Done():
			why := "the page did not navigate"
			if st.commits > before.commits || st.navigating {
				why = "the page that it led to is still loading"
			}
			return &waitError{why, ctx.Err()}
		case <-st.changed:
		}
	}
}

// Mark is a moment in the life of a page.
type Mark struct{ state pageState }

// Mark remembers this moment, for AwaitNavigation.
func (s *Session) Mark() Mark { return Mark{s.state()} }

// AwaitNavigation waits until the page has navigated since the mark and is
// loaded, at an address that url matches (* stands for any text; empty: any) and
// with a title that title matches.
func (s *Session) AwaitNavigation(ctx context.Context, since Mark, url, title string) error {
	return s.do(ctx, "the navigation that the step is known to cause", func(ctx context.Context) error {
		if err := s.arrive(ctx, since.state); err != nil {
			return err
		}
		for {
			why := ""
			st := s.events.state()
			if url != "" && !Match(url, st.URL) {
				why = "the address is " + st.URL + ", not " + url
			} else if title != "" {
				var got string
				if err := s.call(ctx, Locator{}, "title", map[string]any{}, &got); err != nil {
					return &waitError{why, err}
				}
				if !Match(title, got) {
					why = "the title is " + got + ", not " + title
				}
			}
			if why == "" {
				return nil
			}
			if err := pause(ctx, waitPause); err != nil {
				return &waitError{why, err}
			}
		}
	})
}

// Match compares with a pattern in which * stands for any text.
func Match(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	for _, part := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, text, ok = strings.Cut(text, part)
	}
	return ok && strings.HasSuffix(text, parts[len(parts)-1])
}
