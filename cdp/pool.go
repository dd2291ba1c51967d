package cdp

import (
	"context"
	"errors"
	"sync"
)

// Pool shares a few browsers among many sessions. Its methods may be called
// from several goroutines.
type Pool struct {
	opts  Options
	slots []*slot
	// free has one token per session that may still be opened.
	free chan struct{}

	life context.Context
	end  context.CancelCauseFunc
	// background counts what outlives its caller: starts, closing pages,
	// retired browsers.
	background sync.WaitGroup

	mu sync.Mutex
}

// slot is the place of one browser. The pool's mutex guards it.
type slot struct {
	browser *browser
	// starting is closed when the start under way has ended, err then says how.
	starting chan struct{}
	err      error
	active   int // sessions open, or about to be
	uses     int // sessions that the browser has had
}

// NewPool sweeps what crashed processes left in the profile folder and returns
// a pool that launches its browsers when they are needed. Close it.
func NewPool(o Options) (*Pool, error) {
	o = o.withDefaults()
	if o.Binary.Path == "" {
		return nil, ErrNotFound
	}
	n, err := Sweep(o.Dir)
	if err != nil {
		o.Log.Warn("sweep of old browser profiles", "error", err)
	}
	if n > 0 {
		o.Log.Info("removed what an earlier crash left", "profiles", n)
	}
	p := &Pool{opts: o, free: make(chan struct{}, o.Sessions)}
	p.life, p.end = context.WithCancelCause(context.Background())
	for range o.Sessions {
		p.free <- struct{}{}
	}
	for range (o.Sessions + o.PerBrowser - 1) / o.PerBrowser {
		p.slots = append(p.slots, &slot{})
	}
	return p, nil
}

// Acquire opens a session in a browser context of its own. It waits for a free
// place until ctx is done.
func (p *Pool) Acquire(ctx context.Context) (*Session, error) {
	select {
	case <-p.life.Done():
		return nil, ErrPoolClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.free:
	}
	s, err := p.open(ctx)
	if errors.Is(err, ErrBrowserLost) && ctx.Err() == nil {
		// It died between two sessions; nobody has lost anything yet.
		s, err = p.open(ctx)
	}
	if err != nil {
		p.free <- struct{}{}
		return nil, err
	}
	return s, nil
}

// open takes a slot and opens a session in its browser.
func (p *Pool) open(ctx context.Context) (*Session, error) {
	sl := p.reserve()
	b, err := p.running(ctx, sl)
	if err != nil {
		p.unreserve(sl)
		return nil, err
	}
	s, err := b.open(ctx)
	if err != nil {
		b.give()
		p.unreserve(sl)
		return nil, err
	}
	s.onClose = func() { p.release(sl, s) }
	return s, nil
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

// release frees the session's place first and closes its page afterwards, in
// the background, so that a page that does not close holds nobody up.
func (p *Pool) release(sl *slot, s *Session) {
	p.mu.Lock()
	sl.active--
	if p.life.Err() == nil { // else the browser is being killed anyway
		p.background.Go(func() {
			defer s.browser.give()
			s.browser.dispose(s.tab)
		})
	}
	p.mu.Unlock()
	p.free <- struct{}{}
}

// running returns the slot's browser, starting one if there is none that can
// take a session. Callers that wait for the same start share it; a caller that
// gives up does not end it.
func (p *Pool) running(ctx context.Context, sl *slot) (*browser, error) {
	for {
		p.mu.Lock()
		if b := sl.browser; b != nil && b.alive() && sl.uses < p.opts.MaxUses {
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
			return nil, context.Cause(ctx)
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
		ctx, cancel := context.WithTimeoutCause(p.life, startTimeout, &TimeoutError{What: "the browser to start", Waited: startTimeout})
		defer cancel()
		b, err := launch(ctx, p.opts)
		p.mu.Lock()
		sl.browser, sl.err, sl.uses, sl.starting = b, err, 0, nil
		p.mu.Unlock()
		close(done)
	})
	return done
}

// retire ends a browser once its sessions are closed.
func (p *Pool) retire(b *browser) {
	select {
	case <-b.idle():
	case <-b.life.Done():
	case <-p.life.Done():
	}
	b.end(ErrPoolClosed)
	<-b.ended
}

// Start launches the first browser and opens and closes one session in it, so
// that what cannot work fails here.
func (p *Pool) Start(ctx context.Context) (Build, error) {
	s, err := p.Acquire(ctx)
	if err != nil {
		return Build{}, err
	}
	defer s.Close()
	return s.Build(), nil
}

// Close kills all browsers, removes their profiles and waits for the end of
// everything that the pool started. Sessions still open fail with ErrPoolClosed.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.end(ErrPoolClosed) // nothing new begins in the background from here on
	var running []*browser
	for _, sl := range p.slots {
		if sl.browser != nil {
			running = append(running, sl.browser)
		}
	}
	p.mu.Unlock()
	for _, b := range running {
		b.end(ErrPoolClosed)
	}
	p.background.Wait()
	p.mu.Lock()
	for _, sl := range p.slots { // one may have started meanwhile
		if sl.browser != nil {
			sl.browser.end(ErrPoolClosed)
			running = append(running, sl.browser)
		}
	}
	p.mu.Unlock()
	for _, b := range running {
		<-b.ended
	}
	return nil
}
