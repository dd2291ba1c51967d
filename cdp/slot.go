package cdp

import "context"

// slot is the place of one browser that sessions share. The pool's mutex guards
// it.
type slot struct {
	browser *browser
	// starting is closed when the start under way has ended, err then says how.
	starting chan struct{}
	err      error
	active   int // sessions open, or about to be
	uses     int // sessions that the browser has had
}

// reserve picks the slot with the fewest sessions. Ties go to a browser that
// runs already.
func (p *Pool) reserve() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := p.slots[0]
	for _, sl := range p.slots[1:] {
		if sl.active < best.active || sl.active == best.active && best.browser == nil && sl.browser != nil {
			best = sl
		}
	}
	best.active++
	return best
}

func (p *Pool) unreserve(sl *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sl.active--
}

// running returns the slot's browser, starting one if there is none that can
// take a session. Callers that wait for the same start share it; a caller that
// gives up does not end it.
func (p *Pool) running(ctx context.Context, sl *slot) (*browser, error) {
	for {
		p.mu.Lock()
		if b := sl.browser; b != nil && b.wear(sl.uses) {
			sl.uses++
			b.take()
			p.mu.Unlock()
			return b, nil
		}
		if p.life.Err() != nil {
			p.mu.Unlock()
			return nil, ErrPoolClosed
		}
		starting := sl.starting
		if starting == nil {
			starting = p.start(sl)
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, cancelled(ctx)
		case <-starting:
		}
		p.mu.Lock()
		err := sl.err
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
}

// start retires what the slot has and begins to launch a browser. The caller
// holds the mutex.
func (p *Pool) start(sl *slot) chan struct{} {
	if old := sl.browser; old != nil {
		sl.browser = nil
		p.background.Go(func() { p.retire(old) })
	}
	done := make(chan struct{})
	sl.starting, sl.err = done, nil
	p.background.Go(func() {
		b, err := p.launch(p.life, "")
		p.mu.Lock()
		sl.browser, sl.err, sl.uses, sl.starting = b, err, 0, nil
		p.mu.Unlock()
		close(done)
	})
	return done
}

func (p *Pool) launch(ctx context.Context, kept string) (*browser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, &TimeoutError{What: "the browser to start", Waited: startTimeout})
	defer cancel()
	return launch(ctx, p.opts, kept)
}

// retire ends a browser once its sessions are closed.
func (p *Pool) retire(b *browser) {
	p.opts.Log.Debug("browser retires", "pid", b.host.pid(), "why", b.why())
	p.evict(func(k *parked) bool { return k.session.browser == b })
	select {
	case <-b.idle():
	case <-b.life.Done():
	case <-p.life.Done():
	}
	b.end(ErrPoolClosed)
	<-b.ended
}

// openAlone launches a browser for one session.
func (p *Pool) openAlone(ctx context.Context, r Request, unlock func()) (*Session, error) {
	// A start that its caller gives up is undone by launch itself.
	joined, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(ErrPoolClosed) })()
	kept := ""
	if r.Isolation == IsolateProfile {
		kept = r.Key
	}
	b, err := p.launch(joined, kept)
	if err != nil {
		return nil, err
	}
	if !p.own(b) {
		b.end(ErrPoolClosed)
		<-b.ended
		return nil, ErrPoolClosed
	}
	s, err := b.openPage(ctx, kept == "")
	if err != nil {
		p.endAlone(b)
		return nil, err
	}
	s.onClose = func() {
		p.gate.leave()
		p.inBackground(func() {
			defer unlock()
			p.endAlone(b)
		})
	}
	return s, nil
}

// own takes a browser in that Close has to end, unless the pool is closing.
func (p *Pool) own(b *browser) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() == nil {
		p.alone[b] = true
	}
	return p.alone[b]
}

// endAlone ends a browser that had one session.
func (p *Pool) endAlone(b *browser) {
	if b.profile.kept != nil {
		b.quit()
	} else {
		b.end(ErrPoolClosed)
		<-b.ended
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.alone, b)
}
