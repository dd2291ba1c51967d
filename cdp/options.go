package cdp

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
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
	// Sessions is how many sessions may be open at the same time; default 1.
	Sessions int
	// PerBrowser is how many sessions share a browser; default and most 4,
	// because one busy page delays the commands of its neighbours.
	PerBrowser int
	// MaxUses retires a browser after that many sessions; default 500.
	MaxUses int
	// Page is how each session's page looks.
	Page PageOptions
	// Schemes are the URL schemes that Navigate accepts; default http and
	// https. about:blank is always accepted, file only if it stands here.
	Schemes []string
	// Health is how browsers are pinged.
	Health Health
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
	closeTimeout   = 5 * time.Second
)

func (o Options) withDefaults() Options {
	setDefault(&o.RunAs, nobody)
	setDefault(&o.Sessions, 1)
	setDefault(&o.PerBrowser, 4)
	o.PerBrowser = min(o.PerBrowser, 4)
	setDefault(&o.MaxUses, 500)
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
	return o
}

func setDefault[T int | time.Duration](v *T, d T) {
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
