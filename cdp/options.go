package cdp

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// Options say how browsers are launched and shared. The zero value of each
// field but Binary means its default.
type Options struct {
	// Binary is the browser, from Find.
	Binary Binary
	// Dir is the folder for profiles, made if missing. The default is a folder
	// of our own in the system's temporary directory. It must be the same for
	// every run, so that one sweeps what another left, and Chrome's user must be
	// able to reach it.
	Dir string
	// SandboxOff switches Chrome's sandbox off. The default is on, also for
	// root, because pages are other people's code.
	SandboxOff bool
	// RunAs is the user (and group) id that Chrome runs as when we are root;
	// the default is 65534 (nobody).
	RunAs int
	// Args are more command line flags, each "--name" or "--name=value".
	Args []string
	// Endpoint is a browser that runs already, to be used instead of launching
	// one: the address of its DevTools, see CheckEndpoint. Binary, Dir, the
	// sandbox and the flags are then somebody else's business.
	Endpoint string
	// Sessions is how many sessions may be open at the same time; default 1.
	Sessions int
	// Browsers is how many browsers share them; default half the cores, at least
	// as many as PerBrowser makes necessary.
	Browsers int
	// PerBrowser is how many sessions share a browser; default 4, most 8,
	// because one busy page delays the commands of its neighbours.
	PerBrowser int
	// MaxWaiting is how many callers may wait for a session; the next one gets
	// ErrSaturated. The default is four for each of Sessions.
	MaxWaiting int
	// MaxUses retires a browser after that many sessions; default 500.
	MaxUses int
	// MaxAge retires a browser that old; default 30 min.
	MaxAge time.Duration
	// MaxMemory retires a browser whose processes use more bytes (PSS); default
	// 1 GiB.
	MaxMemory int64
	// Memory is how many bytes all browsers may use (PSS) before no session is
	// opened any more until there is room; default 70 % of what the machine, or
	// the control group that we run in, has.
	Memory int64
	// Profiles is the folder of profiles that are kept, see IsolateProfile. The
	// default is the folder "kept" in Dir.
	Profiles string
	// NoSpare switches off the spare page that each browser keeps ready for the
	// next session.
	NoSpare bool
	// Page is how each session's page looks.
	Page PageOptions
	// Schemes are the URL schemes that Navigate accepts; default http and
	// https. about:blank is always accepted, file only if it stands here.
	Schemes []string
	// Health is how browsers are pinged.
	Health Health
	// Egress is the proxy that all pages go through; nil: they go out directly.
	// The pool does not close it.
	Egress *egress.Proxy
	// Log receives the life of browsers; default none.
	Log *slog.Logger
}

// PageOptions are the same for all sessions of a pool.
type PageOptions struct {
	// Width and Height of the viewport in CSS pixels; default 1280 by 800.
	Width, Height int
	// UserAgent replaces the browser's own.
	UserAgent string
}

// Health says how often a browser is pinged and when it is given up: a ping that
// is not answered in Timeout is a strike, two strikes in a row are its end.
type Health struct {
	Every   time.Duration // default 5s
	Timeout time.Duration // default 2s
}

const (
	nobody         = 65534
	strikesAllowed = 2
	startTimeout   = 20 * time.Second
	openTimeout    = 10 * time.Second
	maxStrikes     = 3 // failed closes and openings, then the browser retires
	closeTimeout   = 5 * time.Second
)

func (o Options) withDefaults() Options {
	setDefault(&o.RunAs, nobody)
	setDefault(&o.Sessions, 1)
	setDefault(&o.PerBrowser, 4)
	o.PerBrowser = min(o.PerBrowser, 8)
	needed := (o.Sessions + o.PerBrowser - 1) / o.PerBrowser
	setDefault(&o.Browsers, min(runtime.GOMAXPROCS(0)/2, o.Sessions))
	o.Browsers = max(o.Browsers, needed)
	setDefault(&o.MaxWaiting, 4*o.Sessions)
	setDefault(&o.MaxUses, 500)
	setDefault(&o.MaxAge, 30*time.Minute)
	setDefault(&o.MaxMemory, 1<<30)
	setDefault(&o.Memory, hostMemory()/10*7)
	setDefault(&o.Page.Width, 1280)
	setDefault(&o.Page.Height, 800)
	setDefault(&o.Health.Every, 5*time.Second)
	setDefault(&o.Health.Timeout, 2*time.Second)
	if o.Schemes == nil {
		o.Schemes = []string{"http", "https"}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		o.Dir = DefaultDir()
	}
	if o.Profiles == "" {
		o.Profiles = filepath.Join(o.Dir, "kept")
	}
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// DefaultDir is the folder for profiles of this user's browsers.
func DefaultDir() string {
	return filepath.Join(os.TempDir(), "waybill-browsers-"+strconv.Itoa(os.Getuid()))
}

// flags returns the command line without what differs between two browsers of
// one pool (the profile), so that its digest names the configuration.
func (o Options) flags() []string {
	f := []string{
		"--headless", "--hide-scrollbars", "--mute-audio",
		"--no-first-run", "--no-default-browser-check", "--no-startup-window",
		"--disable-background-networking", "--disable-background-timer-throttling",
		"--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
		"--disable-breakpad", "--disable-client-side-phishing-detection",
		"--disable-component-update", "--disable-default-apps", "--disable-domain-reliability",
		"--disable-extensions", "--disable-hang-monitor", "--disable-prompt-on-repost",
		"--disable-sync", "--metrics-recording-only", "--no-pings",
		"--disable-features=Translate,AutofillServerCommunication,MediaRouter,OptimizationHints",
		// Small /dev/shm in containers makes renderers crash.
		"--disable-dev-shm-usage",
		"--disable-gpu", "--force-color-profile=srgb",
		"--password-store=basic", "--use-mock-keychain",
		// A page that eats memory crashes alone, before the machine suffers.
		"--js-flags=--max-old-space-size=512",
		// UDP would go round a proxy.
		"--disable-quic",
		"--webrtc-ip-handling-policy=disable_non_proxied_udp",
		"--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
		"--remote-debugging-pipe",
	}
	if o.SandboxOff {
		f = append(f, "--no-sandbox")
	}
	return append(f, o.Args...)
}

// flagsDigest names the configuration of a browser: binary name, flags, page.
func (o Options) flagsDigest() string {
	f := slices.Clone(o.flags())
	slices.Sort(f)
	f = append(f, filepath.Base(o.Binary.Path), strconv.Itoa(o.Page.Width), strconv.Itoa(o.Page.Height), o.Page.UserAgent)
	sum := sha256.Sum256([]byte(strings.Join(f, "\x00")))
	return "sha256:" + hex.EncodeToString(sum[:])
}
