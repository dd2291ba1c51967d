package cdp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Session is one page. What it shares with others its Request's Isolation says;
// by default its cookies, storage and cache begin empty and are shared with
// nobody. A session is used by one goroutine at a time; only Close and Done may
// be called from others.
//
// Every method that takes a context fails at once with ErrPageCrashed or
// ErrBrowserLost when that happens, with the context's error when it is
// cancelled, and with a *TimeoutError when its deadline passes.
type Session struct {
	browser *browser
	tab     *tab
	events  *pageEvents
	verbs

	life    context.Context // its cause is why the session ended
	end     context.CancelCauseFunc
	onClose func()
	once    sync.Once

	uses int // how many sessions had this page, with this one
	// stuck: a command timed out, so the page may be busy.
	stuck atomic.Bool
	// poisoned pages are not used again.
	poisoned atomic.Bool
}

func newSession(b *browser) *Session {
	s := &Session{browser: b, events: newPageEvents()}
	s.life, s.end = context.WithCancelCause(b.life)
	return s
}

// Build names the browser that the session runs in.
func (s *Session) Build() Build { return s.browser.build() }

// Done is closed when the session has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.life.Done() }

// Err returns why the session ended, or nil while it lives.
func (s *Session) Err() error { return context.Cause(s.life) }

// Close ends the session. It returns at once; its place is free for others
// before its page is closed. Closing again does nothing.
func (s *Session) Close() {
	s.once.Do(func() {
		s.end(ErrSessionClosed)
		s.onClose()
	})
}

// do runs commands that fail as soon as the session ends, and explains their
// failure. what names the wait: "the page to load".
func (s *Session) do(ctx context.Context, what string, commands func(ctx context.Context) error) error {
	if s.stuck.Load() {
		if err := s.rescue(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	joined, stop := s.join(ctx)
	defer stop()
	err := s.explain(ctx, commands(joined), what, start)
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		return s.timedOut(err)
	}
	return err
}

// join returns a context that ends with ctx and with the session. Call stop.
func (s *Session) join(ctx context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancelCause(ctx)
	unwatch := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	return joined, func() {
		unwatch()
		cancel(nil)
	}
}

// explain tells apart what commands report alike: a lost browser, a crashed
// page, a cancelled caller and a deadline.
func (s *Session) explain(ctx context.Context, err error, what string, start time.Time) error {
	if err == nil {
		return nil
	}
	var waiting *waitError
	last := ""
	if errors.As(err, &waiting) {
		last = waiting.last
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return cancelled(ctx)
	case s.life.Err() != nil:
		return context.Cause(s.life)
	case ctx.Err() != nil:
		return &TimeoutError{What: what, Waited: time.Since(start), Last: last}
	case detached(err):
		return ErrPageClosed
	case gone(err):
		return s.awaitCause()
	}
	return err
}

// awaitCause waits until the browser's guard has found out why the connection
// is gone.
func (s *Session) awaitCause() error {
	select {
	case <-s.life.Done():
		return context.Cause(s.life)
	case <-time.After(closeTimeout):
		return &lostError{reason: "the connection was closed"}
	}
}

// explainOpen is explain for the opening of the session.
func (s *Session) explainOpen(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return cancelled(ctx)
	case s.life.Err() != nil: // the browser is lost, or the page crashed
		return context.Cause(s.life)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case gone(err):
		return s.awaitCause()
	}
	return fmt.Errorf("open a page: %w", err)
}

// cancelled returns the context's error together with its cause.
func cancelled(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

// waitError carries what stood in the way of a wait that the context ended.
type waitError struct {
	last string
	err  error
}

func (e *waitError) Error() string { return e.err.Error() }
func (e *waitError) Unwrap() error { return e.err }

// pause waits a moment before a retry.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
