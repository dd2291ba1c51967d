package execute

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/egress"
	"github.com/waybill-dev/waybill/pipeline"
)

// Config is the config of the stage.
type Config struct {
	// How the browser is started.
	Browser BrowserConfig `yaml:"browser,optional"`
	// What items share. context: nothing; each has cookies, storage and cache of
	// its own. page: a page, used again for items with the same trust key after it
	// was cleared, which costs less (make bench-browser). profile: a profile on disk, see profile.
	// process: nothing, and each has a browser of its own.
	Isolation string `yaml:"isolation,optional" enum:"page|context|profile|process"`
	// With isolation page: items with different keys never share a page.
	TrustKey *pipeline.Template `yaml:"trustKey,optional"`
	// With isolation profile: the name of the profile. It is kept; one item has it
	// at a time, over all processes of this machine.
	Profile *pipeline.Template `yaml:"profile,optional"`
	// Lets an item go on with the cookies, the storage and the page of another.
	Session *SessionConfig `yaml:"session,optional"`
	// What is done when a page wants a login.
	OnAuthError *RenewalConfig `yaml:"onAuthError,optional"`
	// What is done on the page, in order.
	Steps Steps `yaml:"steps"`
	// Longest time of a step that has no timeout of its own.
	StepTimeout pipeline.Duration `yaml:"stepTimeout,optional" min:"1ms"`
	// Most bytes of one HTML text, of one step's extracted values, or of one
	// script's value.
	MaxBytes pipeline.Bytes `yaml:"maxBytes,optional" min:"1"`
	// What pages may reach.
	Network NetworkConfig `yaml:"network,optional"`
	// What is kept of a visit as artifacts: har (capture.har), wacz (capture.wacz),
	// console (console.json), trace (trace.json).
	Capture captures `yaml:"capture,optional"`
	// Where the captures of items that fail are kept.
	CaptureFailed *FailedConfig `yaml:"captureFailed,optional"`
	// Whether captures keep the values of cookies and of authorization headers.
	CaptureSecrets string `yaml:"captureSecrets,optional" enum:"redact|keep"`
}

// BrowserConfig says which browser is used and how.
type BrowserConfig struct {
	// DevTools address of a browser that runs already, instead of launching one:
	// wss:, or ws: on this machine, with its secret
	// (ws://127.0.0.1:9222/devtools/browser/...). Isolation page and context only.
	Endpoint string `yaml:"endpoint,optional"`
	// Folder of the profiles that isolation profile keeps. The default is a folder
	// for things that live as long as the machine runs.
	Profiles string `yaml:"profiles,optional" secret:"false"`
	// Path or name of the browser. The default is what WAYBILL_CHROME names,
	// else chromium-headless-shell, chromium or google-chrome.
	Path string `yaml:"path,optional" secret:"false"`
	// Whether Chrome's own sandbox is on. As root, Chrome runs as another user
	// so that it can be. Switch it off only for pages you trust.
	Sandbox string `yaml:"sandbox,optional" enum:"on|off"`
	// User id that Chrome runs as when we are root.
	RunAs int `yaml:"runAs,optional" min:"1"`
	// More command line flags, each --name or --name=value. Allowed are
	// --accept-lang, --lang, --font-render-hinting, --force-device-scale-factor and
	// --force-prefers-reduced-motion. For a proxy see network.proxy, for the
	// addresses of names network.hosts.
	Args []string `yaml:"args,optional" secret:"false"`
	// User agent that pages are told.
	UserAgent string `yaml:"userAgent,optional" secret:"false"`
	// Size of the page in CSS pixels.
	Viewport Viewport `yaml:"viewport,optional"`
}

// Viewport is the size of a page in CSS pixels.
type Viewport struct {
	// Width in CSS pixels.
	Width int `yaml:"width" min:"1" max:"10000"`
	// Height in CSS pixels.
	Height int `yaml:"height" min:"1" max:"10000"`
}

func defaults() Config {
	return Config{
		Isolation:   string(cdp.IsolateContext),
		Browser:     BrowserConfig{Sandbox: "on", RunAs: 65534, Viewport: Viewport{1280, 800}},
		StepTimeout: pipeline.Duration(10 * time.Second),
		MaxBytes:    10 << 20,
		Network:     NetworkConfig{Robots: "ignore", Bytes: egress.DefaultBytes},

		CaptureSecrets: "redact",
	}
}

// allowed are the flags that change how pages look or are reached, and nothing
// that this stage promises: Chrome has a thousand others, and those that switch
// the sandbox off, run a program of their own or open a port to everybody have
// many names.
var allowed = []string{
	"--accept-lang", "--lang", // what pages are told of the reader
	"--font-render-hinting", "--force-device-scale-factor", "--force-prefers-reduced-motion", // pictures
}

// Validate checks what the types do not say.
func (c Config) Validate(v *pipeline.Validation) {
	c.Network.validate(v)
	c.validateIsolation(v)
	c.OnAuthError.validate(v)
	if c.CaptureFailed != nil && len(c.Capture) == 0 {
		v.KeyProblem("captureFailed", pipeline.CodeMissingKey, "add capture: [har]", "nothing is captured")
	}
	if len(c.Steps) == 0 {
		v.Problem("steps", pipeline.CodeEmptyValue, "begin with navigate", "there is no step")
	}
	for _, arg := range c.Browser.Args {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case !strings.HasPrefix(arg, "--"):
			v.Problem("browser.args", pipeline.CodeBadValue, "write --name or --name=value", "%q is not a flag", arg)
		case name == "--no-sandbox":
			v.Problem("browser.args", "flag-refused", "say sandbox: off if you must", "the flag %s is refused", name)
		case !slices.Contains(allowed, name):
			v.Problem("browser.args", "flag-refused", "allowed are "+strings.Join(allowed, ", "), "the flag %s is refused", name)
		}
	}
}

// profilesHint is for a folder of profiles that cannot be used.
const profilesHint = "set WAYBILL_RUNTIME_DIR to a folder that can be used"

// profiles is the folder for the profiles of browsers. It is the same in every
// run, so that one ends what a crash of another left.
func profiles(env pipeline.Env) string {
	if env.RuntimeDir == "" {
		return "" // the default of package cdp
	}
	return filepath.Join(env.RuntimeDir, "browsers")
}

// options are the pool's options for so many items at a time.
func (c Config) options(bin cdp.Binary, env pipeline.Env) cdp.Options {
	return cdp.Options{
		Binary:     bin,
		Dir:        profiles(env),
		SandboxOff: c.Browser.Sandbox == "off",
		RunAs:      c.Browser.RunAs,
		Args:       slices.Clone(c.Browser.Args),
		Sessions:   max(1, env.Concurrency),
		Endpoint:   c.Browser.Endpoint,
		Profiles:   c.profileFolder(env),
		Page:       cdp.PageOptions{Width: c.Browser.Viewport.Width, Height: c.Browser.Viewport.Height, UserAgent: c.Browser.UserAgent},
		Log:        env.Log,
	}
}
