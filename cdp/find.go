package cdp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binary is a browser's executable.
type Binary struct {
	Path string
	// From says how it was found: "option", "WAYBILL_CHROME" or "PATH".
	From string
}

// EnvChrome is the environment variable that names the browser to use.
const EnvChrome = "WAYBILL_CHROME"

// Install is the line that an error about a missing browser ends with.
const Install = "apt-get install chromium-headless-shell"

// candidates are looked up on PATH in this order: the headless shell costs half
// of what full Chromium does per page and a third of its memory.
var candidates = [...]string{
	"chromium-headless-shell", "chrome-headless-shell", "headless-shell", "headless_shell",
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
}

// Find returns the browser to use: hint (a path or a name on PATH) if it is not
// empty, else what the environment variable WAYBILL_CHROME says, else the first
// of the usual names on PATH. A hint that does not exist is an error, never a
// reason to take another browser. The error is ErrNotFound and says in one line
// what to install.
func Find(hint string) (Binary, error) {
	from := "option"
	if hint == "" {
		hint, from = os.Getenv(EnvChrome), EnvChrome
	}
	if hint != "" {
		path, err := exec.LookPath(hint)
		if err != nil {
			return Binary{}, fmt.Errorf("%w: %s %q: %v; %s", ErrNotFound, from, hint, err, remedy(from))
		}
		return resolved(path, from)
	}
	for _, name := range candidates {
		if path, err := exec.LookPath(name); err == nil {
			return resolved(path, "PATH")
		}
	}
	return Binary{}, fmt.Errorf("%w: install one (%s) or name it in %s", ErrNotFound, Install, EnvChrome)
}

// remedy says what to do about a name that leads nowhere.
func remedy(from string) string {
	if from == EnvChrome {
		return "correct or unset " + EnvChrome + ", or install one: " + Install
	}
	return "correct it, or install one: " + Install
}

func resolved(path, from string) (Binary, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, fmt.Errorf("%w: %v", ErrNotFound, err)
	}
	return Binary{Path: abs, From: from}, nil
}
