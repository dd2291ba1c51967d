package cdp

import (
	"context"
	"time"
)

// What becomes of a page after a command timed out, and of its dialogs.

// rescueTimeout is how long a page may take to answer before it counts as busy;
// closeTimeout, once its script was terminated.
const rescueTimeout = 500 * time.Millisecond

// timedOut finds out whether the browser or the page let a command time out. A
// browser that does not answer at all is lost, and nobody blames the page.
func (s *Session) timedOut(err error) error {
	s.stuck.Store(true)
	b := s.browser
	ctx, cancel := context.WithTimeout(b.life, b.opts.Health.Timeout)
	defer cancel()
	if b.wire.ping(ctx) == nil {
		return err
	}
	b.end(&lostError{reason: "it answered neither a command nor a ping of " + b.opts.Health.Timeout.String()})
	return context.Cause(s.life)
}

// rescue makes a page readable after a timeout: it stops what is loading, and
// the script that keeps the page busy.
func (s *Session) rescue(ctx context.Context) error {
	if s.life.Err() != nil {
		return context.Cause(s.life)
	}
	start := time.Now()
	if s.responds(ctx, rescueTimeout) {
		s.stuck.Store(false)
		return nil
	}
	_ = s.bounded(ctx, rescueTimeout, s.tab.stopLoading)
	if !s.responds(ctx, rescueTimeout) {
		_ = s.bounded(ctx, closeTimeout, s.tab.terminate)
	}
	if s.responds(ctx, closeTimeout) {
		s.stuck.Store(false)
		return nil
	}
	s.poisoned.Store(true)
	return s.explain(ctx, &TimeoutError{What: "the busy page to answer", Waited: time.Since(start)}, "the busy page to answer", start)
}

// responds reports whether the page runs a script in that time.
func (s *Session) responds(ctx context.Context, within time.Duration) bool {
	return s.bounded(ctx, within, func(ctx context.Context) error {
		_, err := s.tab.evaluate(ctx, "0", 0)
		return err
	}) == nil
}

func (s *Session) bounded(ctx context.Context, most time.Duration, command func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	return command(ctx)
}

// Poison says that the page must not be used again, whatever the isolation.
func (s *Session) Poison() { s.poisoned.Store(true) }

// answerDialogs answers the dialogs that would block the page: it leaves when
// asked (beforeunload) and dismisses everything else. It runs as long as the
// page, from one session to the next.
func (t *tab) answerDialogs(life context.Context, dialogs <-chan string) {
	for {
		select {
		case <-life.Done():
			return
		case <-t.gone:
			return
		case kind := <-dialogs:
			_ = t.handleDialog(life, kind == "beforeunload")
		}
	}
}
