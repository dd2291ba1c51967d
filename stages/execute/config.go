package execute

import (
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
	// More command line flags, each --name or --name=value.
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

// refused are flags that would go round what this stage promises.
var refused = []struct{ flag, hint string }{
	{"--no-sandbox", "say sandbox: off if you must"},
	{"--disable-setuid-sandbox", "say sandbox: off if you must"},
	{"--single-process", "a crash of one page would end them all"},
	{"--no-zygote", "it needs the sandbox off"},
	{"--remote-debugging-port", "the browser is driven over a pipe; a port gives control to everybody"},
	{"--remote-debugging-address", "the browser is driven over a pipe; a port gives control to everybody"},
	{"--remote-debugging-pipe", "it is set already"},
	{"--user-data-dir", "each browser has a fresh profile"},
	{"--disable-web-security", "pages could read each other"},
	{"--ignore-certificate-errors", "certificates are checked"},
}

// Validate checks what the types do not say.
func (c Config) Validate(v *pipeline.Validation) {
	if len(c.Steps) == 0 {
		v.Problem("steps", pipeline.CodeEmptyValue, "begin with navigate", "there is no step")
	}
	for _, arg := range c.Browser.Args {
		name, _, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(arg, "--") {
			v.Problem("browser.args", pipeline.CodeBadValue, "write --name or --name=value", "%q is not a flag", arg)
		}
		for _, r := range refused {
			if r.flag == name {
				v.Problem("browser.args", "flag-refused", r.hint, "the flag %s is refused", name)
			}
		}
	}
}

// options are the pool's options for so many items at a time.
func (c Config) options(bin cdp.Binary, env pipeline.Env) cdp.Options {
	return cdp.Options{
		Binary:     bin,
		SandboxOff: c.Browser.Sandbox == "off",
		RunAs:      c.Browser.RunAs,
		Args:       slices.Clone(c.Browser.Args),
		Sessions:   max(1, env.Concurrency),
		Page:       cdp.PageOptions{Width: c.Browser.Viewport.Width, Height: c.Browser.Viewport.Height, UserAgent: c.Browser.UserAgent},
		Log:        env.Log,
	}
}
