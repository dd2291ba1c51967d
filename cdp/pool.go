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
	gate  *gate // one place per session that may be open
	keys  keys  // profiles and sticky sessions in use

	life context.Context
	end  context.CancelCauseFunc
	// background counts what outlives its caller: starts, closing pages,
	// retired browsers.
	background sync.WaitGroup

	mu     sync.Mutex
	parked map[string][]*parked
	alone  map[*browser]bool // browsers of one session each, not in a slot
}

// NewPool sweeps what crashed processes left in the profile folder and returns
// a pool that launches its browsers when they are needed. Close it.
func NewPool(o Options) (*Pool, error) {
	o = o.withDefaults()
	switch {
	case o.Endpoint != "":
		if err := CheckEndpoint(o.Endpoint); err != nil {
			return nil, err
		}
		o.Browsers, o.PerBrowser = 1, o.Sessions
	case o.Binary.Path == "":
		return nil, ErrNotFound
	default:
		n, err := Sweep(o.Dir)
		if err != nil {
			o.Log.Warn("sweep of old browser profiles", "error", err)
		}
		if n > 0 {
			o.Log.Info("removed what an earlier crash left", "profiles", n)
		}
	}
	p := &Pool{opts: o, gate: newGate(o.Sessions, o.MaxWaiting), parked: map[string][]*parked{}, alone: map[*browser]bool{}}
	p.life, p.end = context.WithCancelCause(context.Background())
	for range o.Browsers {
		p.slots = append(p.slots, &slot{})
	}
	p.background.Go(p.watchMemory)
	return p, nil
}

// Acquire opens a session in a browser context of its own, see Lease.
func (p *Pool) Acquire(ctx context.Context) (*Session, error) {
	return p.Lease(ctx, Request{})
}

// Lease opens a session. It waits for its profile or sticky session, then for a
// free place, until ctx is done; ErrSaturated if too many wait already. Close the
// session.
func (p *Pool) Lease(ctx context.Context, r Request) (*Session, error) {
	r, err := r.withDefaults()
	if err != nil {
		return nil, err
	}
	if p.opts.Endpoint != "" && (r.Isolation == IsolateProfile || r.Isolation == IsolateProcess) {
		return nil, errors.New("a browser at an endpoint is shared, so isolation " + string(r.Isolation) + " is not possible")
	}
	unlock, err := p.keys.lock(ctx, p.life, r.exclusive())
	if err != nil {
		return nil, err
	}
	if err := p.gate.enter(ctx, p.life, r.Group); err != nil {
		unlock()
		return nil, err
	}
	s, err := p.lease(ctx, r, unlock)
	if (errors.Is(err, ErrBrowserLost) || errors.Is(err, ErrPageCrashed)) && ctx.Err() == nil {
		// It died between two sessions; nobody has lost anything yet.
		s, err = p.lease(ctx, r, unlock)
	}
	if err != nil {
		p.gate.leave()
		unlock()
		return nil, err
	}
	s.uses++
	return s, nil
}

// lease finds the session's page.
func (p *Pool) lease(ctx context.Context, r Request, unlock func()) (*Session, error) {
	if r.Isolation == IsolateProfile || r.Isolation == IsolateProcess {
		return p.openAlone(ctx, r, unlock)
	}
	name, _, _ := r.parking()
	if s, sl := p.unpark(name); s != nil {
		s.onClose = func() { p.release(sl, s, r, unlock) }
		return s, nil
	}
	return p.open(ctx, r, unlock)
}

// open takes a slot and opens a session in its browser.
func (p *Pool) open(ctx context.Context, r Request, unlock func()) (*Session, error) {
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
	p.inBackground(func() { b.prepare(p.life) })
	s.onClose = func() { p.release(sl, s, r, unlock) }
	return s, nil
}

// release frees the session's place first. Its page is closed, or cleared and
// parked, afterwards in the background, so that a page that does not close holds
// nobody up.
func (p *Pool) release(sl *slot, s *Session, r Request, unlock func()) {
	p.unreserve(sl)
	name, uses, ttl := r.parking()
	again := name != "" && s.Err() == ErrSessionClosed && !s.stuck.Load() && !s.poisoned.Load() && !s.overridden.Load() && s.uses < uses && !s.browser.wornOut()
	p.inBackground(func() {
		defer unlock()
		if again && p.park(sl, s, r, name, ttl) {
			return
		}
		p.dispose(s)
	})
	p.gate.leave()
}

// dispose closes the page of a session that has ended.
func (p *Pool) dispose(s *Session) {
	defer s.browser.give()
	if s.stuck.Load() {
		ctx, cancel := context.WithTimeout(s.browser.life, rescueTimeout)
		_ = s.tab.terminate(ctx)
		cancel()
	}
	s.browser.dispose(s.tab)
}

// inBackground runs f, unless the pool is closing: then its browsers are being
// killed anyway.
func (p *Pool) inBackground(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() == nil {
		p.background.Go(f)
	}
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
// Browsers on profiles that are kept end by themselves, so that all is written.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.end(ErrPoolClosed) // nothing new begins in the background from here on
	p.mu.Unlock()
	p.endAll()
	p.background.Wait()
	p.endAll() // one may have started meanwhile
	return nil
}

// endAll ends all browsers and waits until they are gone.
func (p *Pool) endAll() {
	var ending sync.WaitGroup
	for _, b := range p.browsers() {
		ending.Go(func() {
			if b.profile != nil && b.profile.kept != nil {
				b.quit()
			} else {
				b.end(ErrPoolClosed)
			}
			<-b.ended
		})
	}
	ending.Wait()
}

// browsers lists those that run.
func (p *Pool) browsers() (out []*browser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sl := range p.slots {
		if sl.browser != nil {
			out = append(out, sl.browser)
		}
	}
	for b := range p.alone {
		out = append(out, b)
	}
	return out
}
