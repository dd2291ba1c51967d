package execute

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// Config is the config of the stage.
type Config struct {
	// How the browser is started.
	Browser BrowserConfig `yaml:"browser,optional"`
	// What is done on the page, in order.
	Steps []Step `yaml:"steps"`
	// Longest time of a step that has no timeout of its own.
	StepTimeout pipeline.Duration `yaml:"stepTimeout,optional" min:"1ms"`
	// Most bytes of one HTML text, of one step's extracted values, or of one
	// script's value.
	MaxBytes pipeline.Bytes `yaml:"maxBytes,optional" min:"1"`
}

// BrowserConfig says which browser is used and how.
type BrowserConfig struct {
	// Path or name of the browser. The default is what WAYBILL_CHROME names,
	// else chromium-headless-shell, chromium or google-chrome.
	Path string `yaml:"path,optional" secret:"false"`
	// Whether Chrome's own sandbox is on. As root, Chrome runs as another user
	// so that it can be. Switch it off only for pages you trust.
	Sandbox string `yaml:"sandbox,optional" enum:"on|off"`
	// User id that Chrome runs as when we are root.
	RunAs int `yaml:"runAs,optional" min:"1"`
	// More command line flags, each --name or --name=value. Allowed are
	// --accept-lang, --lang, --font-render-hinting, --force-device-scale-factor,
	// --force-prefers-reduced-motion, --host-resolver-rules, --proxy-server and
	// --proxy-bypass-list.
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
		Browser:     BrowserConfig{Sandbox: "on", RunAs: 65534, Viewport: Viewport{1280, 800}},
		StepTimeout: pipeline.Duration(10 * time.Second),
		MaxBytes:    10 << 20,
	}
}

// allowed are the flags that change how pages look or are reached, and nothing
// that this stage promises: Chrome has a thousand others, and those that switch
// the sandbox off, run a program of their own or open a port to everybody have
// many names.
var allowed = []string{
	"--accept-lang", "--lang", // what pages are told of the reader
	"--font-render-hinting", "--force-device-scale-factor", "--force-prefers-reduced-motion", // pictures
	"--host-resolver-rules",                 // test sites; certificates are still checked
	"--proxy-bypass-list", "--proxy-server", // the way out
}

// Validate checks what the types do not say.
func (c Config) Validate(v *pipeline.Validation) {
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
		Page:       cdp.PageOptions{Width: c.Browser.Viewport.Width, Height: c.Browser.Viewport.Height, UserAgent: c.Browser.UserAgent},
		Log:        env.Log,
	}
}
