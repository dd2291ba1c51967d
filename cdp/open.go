package cdp

import (
	"context"
	"errors"
)

// How a session gets its page, and what becomes of the page afterwards.

// open opens a session in a browser context of its own; it takes the spare one
// if that is ready.
func (b *browser) open(ctx context.Context) (*Session, error) {
	b.mu.Lock()
	spare := b.spare
	b.spare = nil
	b.mu.Unlock()
	if spare != nil {
		if spare.Err() == nil {
			return spare, nil
		}
		go b.dispose(spare.tab)
	}
	return b.openPage(ctx, true)
}

// openPage opens a session in a browser context of its own or in the default
// one.
func (b *browser) openPage(ctx context.Context, own bool) (*Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, &TimeoutError{What: "a new page", Waited: openTimeout})
	defer cancel()
	s := newSession(b)
	joined, stop := s.join(ctx)
	defer stop()
	b.beginOpen()
	defer b.endOpen()
	t, err := b.wire.open(joined, b.opts.Page, own, func(targetID string) {
		s.events.setFrame(targetID)
		b.register(targetID, s)
	}, s.events.handle)
	if err == nil {
		s.tab = t
		go t.answerDialogs(b.life, s.events.dialogs)
		return s, nil
	}
	err = s.explainOpen(ctx, err)
	s.end(ErrSessionClosed)
	if t != nil {
		go b.dispose(t)
	}
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		b.strike("open")
	}
	return nil, err
}

// prepare opens the spare page unless there is one. The next session saves the
// dozen round trips that opening takes.
func (b *browser) prepare(ctx context.Context) {
	if b.opts.NoSpare || !b.sparing.CompareAndSwap(false, true) {
		return
	}
	defer b.sparing.Store(false)
	b.mu.Lock()
	needed := b.spare == nil && b.tired == "" && b.alive()
	b.mu.Unlock()
	if !needed {
		return
	}
	s, err := b.openPage(ctx, true)
	if err != nil {
		return // the next session says so, if it is still so
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spare = s
}

// again makes a new session of a page that another session had.
func (b *browser) again(old *Session) *Session {
	s := newSession(b)
	s.tab, s.events, s.uses = old.tab, old.events, old.uses
	s.events.forget()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[s.tab.targetID] == old { // else it is being closed
		b.sessions[s.tab.targetID] = s
	}
	if old.Err() != ErrSessionClosed { // it crashed, in this moment perhaps
		s.end(old.Err())
	}
	return s
}

// dispose closes a page. A browser that does not do it in time gets a strike.
func (b *browser) dispose(t *tab) {
	b.mu.Lock()
	delete(b.sessions, t.targetID)
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.life, closeTimeout)
	defer cancel()
	if err := t.dispose(ctx); err != nil && b.alive() && ctx.Err() != nil {
		b.strike("close")
	}
}
