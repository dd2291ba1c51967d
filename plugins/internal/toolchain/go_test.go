package toolchain

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// goProject writes a kernel project without dependencies.
func goProject(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module k\n\ngo 1.24\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const goKernel = "package main\n\nfunc main() {}\n\n//go:wasmexport k1_abi\nfunc abi() int64 { return 0 }\n"

// The same source gives the same bytes in any folder, whatever the user's
// environment says.
func TestGoBuildsReproducibly(t *testing.T) {
	b := goBuilder()
	if err := b.Find(); err != nil {
		t.Fatal(err)
	}
	var built [2][]byte
	for i := range built {
		dir := goProject(t, goKernel)
		if !b.Detect(dir) {
			t.Fatal("not detected")
		}
		if i == 1 {
			t.Setenv("GOFLAGS", "-ldflags=-s")
			t.Setenv("GOOS", "linux")
			t.Setenv("GOWASM", "satconv")
		}
		out := filepath.Join(t.TempDir(), "k.wasm")
		if err := b.Build(t.Context(), dir, out, io.Discard); err != nil {
			t.Fatal(err)
		}
		var err error
		if built[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Error("two builds differ")
	}
	m, err := module.Parse(built[0])
	if err != nil {
		t.Fatal(err)
	}
	if m.Export("_initialize") == nil || m.Export("k1_abi") == nil {
		t.Errorf("no reactor: %+v", m.Exports)
	}
}

func TestGoShowsTheCompilersWords(t *testing.T) {
	var log bytes.Buffer
	err := goBuilder().Build(t.Context(), goProject(t, "package main\n\nfunc main() { oops() }\n"), filepath.Join(t.TempDir(), "k.wasm"), &log)
	if err == nil || !strings.Contains(log.String(), "undefined: oops") {
		t.Errorf("%v, log %q", err, log.String())
	}
}

func TestGoIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var missing *Missing
	err := goBuilder().Build(t.Context(), goProject(t, goKernel), filepath.Join(t.TempDir(), "k.wasm"), io.Discard)
	if !errors.As(err, &missing) || missing.Lang != "go" || missing.Hint == "" {
		t.Errorf("got %v", err)
	}
}

// Each language is known by something of its own, and an empty folder by
// nothing.
func TestDetect(t *testing.T) {
	empty := t.TempDir()
	names := make(map[string]bool)
	for _, b := range All() {
		if b.Detect(empty) {
			t.Errorf("%s detects an empty folder", b.Lang)
		}
		if names[b.Lang] {
			t.Errorf("%s twice", b.Lang)
		}
		names[b.Lang] = true
	}
	for _, lang := range []string{"go", "rust", "assemblyscript", "c", "zig"} {
		if !names[lang] {
			t.Errorf("no builder for %s", lang)
		}
	}
}
