package cdp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
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
	proc    *chrome
	profile *profile
	wire    *wire

	// life ends when the browser does; its cause is why, an ErrBrowserLost
	// unless the pool closed it.
	life  context.Context
	end   context.CancelCauseFunc
	ended chan struct{} // closed when process and profile are gone

	mu       sync.Mutex
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
func launch(ctx context.Context, o Options) (*browser, error) {
	uid := -1
	if os.Geteuid() == 0 && !o.SandboxOff {
		uid = o.RunAs
	}
	if err := prepareDir(o.Dir, uid); err != nil {
		return nil, err
	}
	prof, err := newProfile(o.Dir, uid)
	if err != nil {
		return nil, err
	}
	proc, err := startChrome(o, prof, uid)
	if err != nil {
		return nil, errors.Join(err, prof.remove())
	}
	b := &browser{opts: o, proc: proc, profile: prof, sessions: map[string]*Session{}, early: map[string]string{}, ended: make(chan struct{})}
	b.life, b.end = context.WithCancelCause(context.Background())
	if err := b.connect(ctx); err != nil {
		b.end(err)
		b.destroy()
		return nil, b.startError(ctx, err)
	}
	go b.guard()
	o.Log.Debug("browser started", "pid", proc.cmd.Process.Pid, "product", b.version.Product)
	return b, nil
}

func (b *browser) connect(ctx context.Context) (err error) {
	if err := b.profile.lock(identify(b.proc.cmd.Process.Pid)); err != nil {
		return err
	}
	debug := func(format string, args ...any) { b.opts.Log.Debug("cdp: " + fmt.Sprintf(format, args...)) }
	if b.wire, b.version, err = connect(ctx, b.proc.out, b.proc.in, debug); err != nil {
		return err
	}
	return b.wire.watch(ctx, b.crashed, b.popup)
}

// startError explains a browser that did not start.
func (b *browser) startError(ctx context.Context, err error) error {
	said := b.proc.output.last(3)
	if strings.Contains(said, "No usable sandbox") || strings.Contains(said, "without --no-sandbox") ||
		strings.Contains(said, "setuid_sandbox_host") || strings.Contains(said, "Failed to move to new namespace") {
		return fmt.Errorf("%w (%s): allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "+
			"kernel.apparmor_restrict_unprivileged_userns=0), or set the sandbox to off for pages you trust", ErrSandbox, said)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s did not start: %w (%s); it printed: %s", b.opts.Binary.Path, err, b.proc.ended(), said)
}

// guard waits for the end of the browser, whatever the reason, and cleans up.
func (b *browser) guard() {
	health := make(chan struct{})
	go func() { defer close(health); b.checkHealth() }()
	select {
	case <-b.life.Done():
	case <-b.wire.lost():
	case <-b.proc.exited:
	}
	b.proc.kill()
	<-b.proc.exited
	b.end(&lostError{reason: b.proc.ended(), output: b.proc.output.last(2)})
	<-health
	b.opts.Log.Debug("browser ended", "pid", b.proc.cmd.Process.Pid, "cause", context.Cause(b.life))
	b.destroy()
}

// destroy frees what the browser holds; life is over already.
func (b *browser) destroy() {
	b.proc.kill()
	<-b.proc.exited
	if b.wire != nil {
		b.wire.close()
	}
	_ = b.proc.in.Close()
	_ = b.proc.out.Close()
	if err := b.profile.remove(); err != nil {
		b.opts.Log.Warn("browser profile left behind", "error", err)
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

// endOpen registers the session of the page (nil: there is none) and ends it if
// its page has crashed already.
func (b *browser) endOpen(s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s != nil {
		b.sessions[s.tab.targetID] = s
		if status, crashed := b.early[s.tab.targetID]; crashed {
			s.end(&crashError{status})
		}
	}
	if b.opening--; b.opening == 0 {
		clear(b.early)
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

// open opens a session in a browser context of its own.
func (b *browser) open(ctx context.Context) (*Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, &TimeoutError{What: "a new page", Waited: openTimeout})
	defer cancel()
	s := newSession(b)
	b.beginOpen()
	t, err := b.wire.open(ctx, b.opts.Page, s.events.handle)
	if err == nil {
		s.tab = t
		s.events.setFrame(t.targetID)
		b.endOpen(s)
		go s.answerDialogs()
		return s, nil
	}
	b.endOpen(nil)
	s.end(ErrSessionClosed)
	if t != nil {
		go b.dispose(t)
	}
	return nil, s.explainOpen(ctx, err)
}

// dispose closes a page. A browser that cannot do even that is given up.
func (b *browser) dispose(t *tab) {
	b.mu.Lock()
	delete(b.sessions, t.targetID)
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.life, closeTimeout)
	defer cancel()
	if err := t.dispose(ctx); err != nil && b.alive() && ctx.Err() != nil {
		b.end(&lostError{reason: fmt.Sprintf("a page did not close in %v", closeTimeout)})
	}
}

// build names the browser.
func (b *browser) build() Build {
	name := b.opts.Binary.Path
	return Build{Version: b.version, Binary: name[strings.LastIndexByte(name, '/')+1:], Flags: b.opts.flagsDigest()}
}
