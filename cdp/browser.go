package cdp

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// Version is what a browser says about itself.
type Version struct {
	Product   string // "HeadlessChrome/156.0.8078.79"
	Revision  string // "@<commit>"
	UserAgent string
	Protocol  string
}

// Build names the browser that a session runs in, for provenance.
type Build struct {
	Version
	// Binary is the file name of the executable.
	Binary string
	// Flags is the digest (sha256:...) of its command line and page options.
	Flags string
}

// browser is one running Chrome with the sessions inside it.
type browser struct {
	opts    Options
	version Version
	host    host
	profile *profile // nil: somebody else's
	wire    *wire
	way     *egress.Lease // of what no session asks for; nil without a proxy
	started time.Time

	// life ends when the browser does; its cause is why, an ErrBrowserLost
	// unless the pool closed it.
	life  context.Context
	end   context.CancelCauseFunc
	ended chan struct{} // closed when process and profile are gone
	// quitting: the browser was asked to end and writes its profile.
	quitting atomic.Bool
	// memory is what its processes used when last looked at, in bytes.
	memory atomic.Int64
	// sparing: the spare page is being opened.
	sparing atomic.Bool

	mu       sync.Mutex
	tired    string              // why it takes no more sessions; empty: it does
	strikes  int                 // pages that did not open or close in time
	spare    *Session            // ready for the next open
	sessions map[string]*Session // by target
	opening  int                 // pages that may not be in sessions yet
	early    map[string]string   // their crashes: status by target
	leases   int                 // sessions open, opening or closing
	empty    chan struct{}       // made by idle, closed at the last give
}

// take counts a session in, give counts it out.
func (b *browser) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases++
}

func (b *browser) give() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leases--
	b.signalEmpty()
}

// idle returns a channel that is closed when no session is left. Call it once,
// after the last take.
func (b *browser) idle() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	empty := make(chan struct{})
	b.empty = empty
	b.signalEmpty()
	return empty
}

func (b *browser) signalEmpty() {
	if b.empty != nil && b.leases == 0 {
		close(b.empty)
		b.empty = nil
	}
}

// launch starts a browser and waits until it answers. ctx bounds the start.
// kept is the name of a profile that is kept; empty: a new one.
func launch(ctx context.Context, o Options, kept string) (*browser, error) {
	if o.Endpoint != "" {
		b := newBrowser(o, newRemoteHost(), nil)
		return b.start(ctx, func() (*wire, Version, error) {
			t, err := dial(ctx, o.Endpoint)
			if err != nil {
				return nil, Version{}, err
			}
			return connect(ctx, t)
		})
	}
	prof, err := o.profile(ctx, kept)
	if err != nil {
		return nil, err
	}
	way, err := o.way()
	if err != nil {
		return nil, errors.Join(err, prof.remove())
	}
	proc, err := startChrome(o, prof, o.uid(), o.wayFlags(way)...)
	if err != nil {
		closeWay(way)
		return nil, errors.Join(err, prof.remove())
	}
	b := newBrowser(o, proc, prof)
	b.way = way
	return b.start(ctx, func() (*wire, Version, error) {
		if err := prof.lock(identify(proc.pid())); err != nil {
			return nil, Version{}, err
		}
		return connect(ctx, newPipe(proc.out, proc.in))
	})
}

func newBrowser(o Options, h host, p *profile) *browser {
	b := &browser{opts: o, host: h, profile: p, started: time.Now(),
		sessions: map[string]*Session{}, early: map[string]string{}, ended: make(chan struct{})}
	b.life, b.end = context.WithCancelCause(context.Background())
	return b
}

// start connects and begins to watch the browser. One that cannot be used is
// cleaned up.
func (b *browser) start(ctx context.Context, connect func() (*wire, Version, error)) (_ *browser, err error) {
	if b.wire, b.version, err = connect(); err == nil {
		b.wire.egress, b.wire.way = b.opts.Egress, b.way
		err = b.wire.watch(ctx, b.crashed, b.popup)
	}
	if err != nil {
		b.end(err)
		b.destroy()
		return nil, b.startError(ctx, err)
	}
	go b.guard()
	b.opts.Log.Debug("browser started", "pid", b.host.pid(), "product", b.version.Product)
	return b, nil
}

// startError explains a browser that did not start.
func (b *browser) startError(ctx context.Context, err error) error {
	said := b.host.said(3)
	if strings.Contains(said, "No usable sandbox") || strings.Contains(said, "without --no-sandbox") ||
		strings.Contains(said, "setuid_sandbox_host") || strings.Contains(said, "Failed to move to new namespace") {
		return fmt.Errorf("%w (%s): allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "+
			"kernel.apparmor_restrict_unprivileged_userns=0), or set the sandbox to off for pages you trust", ErrSandbox, said)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if b.profile == nil {
		return fmt.Errorf("%w: connect to the browser at %s: %w", ErrBrowserLost, redacted(b.opts.Endpoint), err)
	}
	return fmt.Errorf("%s did not start: %w (%s); it printed: %s", b.opts.Binary.Path, err, b.host.ended(), said)
}

// guard waits for the end of the browser, whatever the reason, and cleans up.
func (b *browser) guard() {
	health := make(chan struct{})
	go func() { defer close(health); b.checkHealth() }()
	select {
	case <-b.life.Done():
	case <-b.wire.lost():
	case <-b.host.exited():
	}
	if b.quitting.Load() {
		select {
		case <-b.host.exited():
		case <-time.After(closeTimeout):
			b.opts.Log.Warn("browser did not end by itself; its profile may miss the last changes", "pid", b.host.pid())
		}
	}
	b.host.kill()
	<-b.host.exited()
	b.end(&lostError{reason: b.host.ended(), output: b.host.said(2)})
	<-health
	b.opts.Log.Debug("browser ended", "pid", b.host.pid(), "cause", context.Cause(b.life))
	b.destroy()
}

// quit ends the browser so that its profile is written, and waits for its end:
// without its pipe Chrome ends by itself, in a tenth of a second.
func (b *browser) quit() {
	b.quitting.Store(true)
	b.host.release()
	b.end(ErrPoolClosed)
	<-b.ended
}

// destroy frees what the browser holds; life is over already.
func (b *browser) destroy() {
	b.host.kill()
	<-b.host.exited()
	if b.wire != nil {
		b.wire.close()
	}
	b.host.release()
	closeWay(b.way)
	if b.profile != nil {
		if err := b.profile.remove(); err != nil {
			b.opts.Log.Warn("browser profile left behind", "error", err)
		}
	}
	close(b.ended)
}

// checkHealth pings until the browser's end. A stopped browser keeps its pipe
// open and answers nothing; nothing else would notice.
func (b *browser) checkHealth() {
	tick := time.NewTicker(b.opts.Health.Every)
	defer tick.Stop()
	for strikes := 0; ; {
		select {
		case <-b.life.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(b.life, b.opts.Health.Timeout)
		err := b.wire.ping(ctx)
		cancel()
		if err == nil {
			strikes = 0
			continue
		}
		if strikes++; strikes >= strikesAllowed {
			b.end(&lostError{reason: fmt.Sprintf("no answer to %d pings of %v", strikes, b.opts.Health.Timeout)})
			return
		}
	}
}

// alive reports whether the browser can take sessions.
func (b *browser) alive() bool { return b.life.Err() == nil }

// crashed ends the session whose page crashed. It runs on the reader.
func (b *browser) crashed(targetID, status string) {
	b.mu.Lock()
	s := b.sessions[targetID]
	if s == nil && b.opening > 0 {
		b.early[targetID] = status
	}
	b.mu.Unlock()
	if s != nil {
		s.end(&crashError{status})
	}
}

// beginOpen says that a page is about to exist that no session has yet; each
// is followed by one endOpen.
func (b *browser) beginOpen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opening++
}

// register says whose page a target is. The session ends if its page has crashed
// already.
func (b *browser) register(targetID string, s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[targetID] = s
	if status, crashed := b.early[targetID]; crashed {
		s.end(&crashError{status})
	}
}

func (b *browser) endOpen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opening--; b.opening == 0 {
		clear(b.early)
	}
}

// wear counts a session and reports whether the browser may have it. One that is
// worn out takes no more sessions and ends when it has none.
func (b *browser) wear(uses int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.tired != "":
	case uses >= b.opts.MaxUses:
		b.tired = "it had its sessions"
	case uses > 0 && time.Since(b.started) >= b.opts.MaxAge:
		b.tired = "it is old"
	}
	return b.tired == "" && b.alive()
}

// wornOut reports whether the browser takes no more sessions.
func (b *browser) wornOut() bool { return b.why() != "" || !b.alive() }

func (b *browser) why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tired
}

// tire says why the browser takes no more sessions.
func (b *browser) tire(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tired == "" {
		b.tired = why
	}
}

// strike counts a page that did not open or close in time.
func (b *browser) strike(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.strikes++; b.strikes >= maxStrikes && b.tired == "" {
		b.tired = fmt.Sprintf("%d pages did not open or close in time, the last: %s", b.strikes, what)
	}
}

// popup closes a page that a page opened: nobody asked for it, and nobody
// would close it. It runs on the reader, so the command runs elsewhere.
func (b *browser) popup(targetID string) {
	go func() {
		ctx, cancel := context.WithTimeout(b.life, closeTimeout)
		defer cancel()
		_ = b.wire.closeTarget(ctx, targetID)
	}()
}

// build names the browser.
func (b *browser) build() Build {
	name := filepath.Base(b.opts.Binary.Path)
	if b.opts.Endpoint != "" {
		name = "remote"
	}
	return Build{Version: b.version, Binary: name, Flags: b.opts.flagsDigest()}
}
