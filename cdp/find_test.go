package cdp_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/cdp"
)

// executables makes a PATH with these programs on it and nothing else.
func executables(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv(cdp.EnvChrome, "")
	return dir
}

func TestFindPrefersTheHeadlessShell(t *testing.T) {
	dir := executables(t, "google-chrome", "chromium", "chromium-headless-shell", "mine")
	for _, c := range []struct{ hint, env, want, from string }{
		{"", "", "chromium-headless-shell", "PATH"},
		{"", "mine", "mine", cdp.EnvChrome},
		{"chromium", "mine", "chromium", "option"},
		{filepath.Join(dir, "mine"), "", "mine", "option"},
	} {
		t.Setenv(cdp.EnvChrome, c.env)
		got, err := cdp.Find(c.hint)
		if want := (cdp.Binary{Path: filepath.Join(dir, c.want), From: c.from}); err != nil || got != want {
			t.Errorf("hint %q, env %q: %+v, %v", c.hint, c.env, got, err)
		}
	}
}

func TestFindSaysWhatToInstall(t *testing.T) {
	executables(t)
	for _, hint := range []string{"", "/no/such/chrome", "nochrome"} {
		_, err := cdp.Find(hint)
		if !errors.Is(err, cdp.ErrNotFound) || !strings.Contains(err.Error(), cdp.Install) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", hint, err)
		}
	}
	// A name that is wrong is not a reason to take another browser.
	executables(t, "chromium")
	if _, err := cdp.Find("nochrome"); err == nil {
		t.Error("a wrong hint found a browser")
	}
}
