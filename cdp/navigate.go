package cdp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Navigation is where a navigation ended.
type Navigation struct {
	Page
	// Redirects are the addresses that answered with a redirect, in order.
	Redirects []string
}

// maxCommits ends a page that navigates on and on by itself.
const maxCommits = 20

// Navigate opens a URL and waits until the document is loaded; documents that
// replace themselves while loading are followed. Any HTTP status is a success.
// The errors are ErrScheme, *NavigationError and those of every command. When
// the context ends, loading is stopped and what is there can still be read.
func (s *Session) Navigate(ctx context.Context, address string) (Navigation, error) {
	if err := checkScheme(address, s.browser.opts.Schemes); err != nil {
		return Navigation{}, err
	}
	s.events.takeRedirects()
	before := s.state()
	err := s.do(ctx, "navigation to "+address, func(ctx context.Context) error {
		r, err := s.tab.navigate(ctx, address)
		if err != nil {
			return err
		}
		if r.errorText != "" || r.download {
			return s.refused(address, r)
		}
		if r.loader == "" { // only the fragment changed
			return s.awaitMove(ctx, before)
		}
		return s.awaitLoad(ctx, address, r.loader, before)
	})
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		s.stopLoading()
	}
	return Navigation{s.Page(), s.events.takeRedirects()}, s.because(err, before.unanswered)
}

// refused explains a navigation that brought no document. An error status
// without a body is a document like any other.
func (s *Session) refused(address string, r navigated) error {
	if status, ok := s.events.statusOf(r.loader); ok && r.errorText == "net::ERR_HTTP_RESPONSE_CODE_FAILURE" {
		s.events.setDocument(r.loader, address, status)
		return nil
	}
	e := &NavigationError{Code: r.errorText, URL: address}
	if r.download {
		e.Detail = "the answer is a download, and downloads are denied"
	}
	if e.Code == "" {
		e.Code = "net::ERR_ABORTED"
	}
	return e
}

// setDocument notes a document that the browser shows an error page for.
func (p *pageEvents) setDocument(loader, url string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.url = url
	p.status[p.loader] = status
	p.status[loader] = status
}

// awaitLoad waits until the document of loader, or the one that replaced it, is
// loaded.
func (s *Session) awaitLoad(ctx context.Context, address, loader string, before pageState) error {
	for {
		st := s.events.state()
		if st.loaded && (st.loader == loader || st.commits > before.commits+1) {
			return s.reached(before, st)
		}
		if st.commits > before.commits+maxCommits {
			return &NavigationError{Code: "net::ERR_TOO_MANY_REDIRECTS", URL: address, Detail: "the page navigates on and on by itself"}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-st.changed:
		}
	}
}

// awaitMove waits until the address changed inside the document.
func (s *Session) awaitMove(ctx context.Context, before pageState) error {
	for {
		st := s.events.state()
		if st.moves > before.moves {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-st.changed:
		}
	}
}

// settle waits for the navigation that an action started, if it started one.
// page.js has waited two tasks by then: the answer to that comes after the event
// that tells of a navigation.
func (s *Session) settle(ctx context.Context, before pageState) error {
	for {
		st := s.events.state()
		if !st.navigating && (st.commits == before.commits || st.loaded) {
			return s.reached(before, st)
		}
		if st.commits > before.commits+maxCommits {
			return &NavigationError{Code: "net::ERR_TOO_MANY_REDIRECTS", URL: st.URL, Detail: "the page navigates on and on by itself"}
		}
		select {
		case <-ctx.Done():
			return &waitError{"the page that the action led to is still loading", ctx.Err()}
		case <-st.changed:
		}
	}
}

// reached fails if the navigation since before led to an error page.
func (s *Session) reached(before, now pageState) error {
	if now.commits == before.commits || now.errorPage == "" {
		return nil
	}
	return s.because(&NavigationError{Code: now.errorCode, URL: now.errorPage}, before.unanswered)
}

// stopLoading makes a page that never ends loading readable.
func (s *Session) stopLoading() {
	ctx, cancel := context.WithTimeout(s.life, time.Second)
	defer cancel()
	_ = s.tab.stopLoading(ctx)
}

// checkScheme refuses addresses that could read this machine or the browser
// (file:, chrome:, view-source:, ...). It looks at the address before the
// browser does.
func checkScheme(address string, allowed []string) error {
	if address == "about:blank" {
		return nil
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return fmt.Errorf("%w: %v", ErrScheme, err)
	}
	if u.Scheme == "" {
		return fmt.Errorf("%w: %q has none; give the whole URL", ErrScheme, address)
	}
	if !slices.Contains(allowed, strings.ToLower(u.Scheme)) {
		return fmt.Errorf("%w: %s: (allowed: %s)", ErrScheme, u.Scheme, strings.Join(allowed, ", "))
	}
	return nil
}
