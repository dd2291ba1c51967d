package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins"
)

// TestNewProjects goes the way of a new user in each language but Go, whose
// story is testdata/script/kernel.txtar: new, build, build again, check, test.
func TestNewProjects(t *testing.T) {
	t.Parallel()
	for _, lang := range (plugins.Tools{}).Languages() {
		if lang != "go" {
			t.Run(lang, func(t *testing.T) { newProject(t, lang) })
		}
	}
}

func newProject(t *testing.T, lang string) {
	dir := t.TempDir()
	demo := filepath.Join(dir, "demo")
	kernel := func(where string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		cmd := exec.Command("waybill", append([]string{"kernel"}, args...)...)
		cmd.Dir = where
		cmd.Env = append(os.Environ(), "WAYBILL_CACHE="+filepath.Join(dir, "cache"))
		var failed strings.Builder
		cmd.Stderr = &failed
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), failed.String(), cmd.ProcessState.ExitCode()
	}
	must := func(args ...string) string {
		t.Helper()
		out, stderr, code := kernel(demo, args...)
		if code != 0 {
			t.Fatalf("waybill kernel %s: exit %d\n%s%s", strings.Join(args, " "), code, out, stderr)
		}
		return out
	}
	if _, stderr, code := kernel(dir, "new", "--lang", lang, "demo"); code != 0 {
		t.Fatalf("new: exit %d: %s", code, stderr)
	}
	built, stderr, code := kernel(demo, "build")
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); code == 2 && strings.HasPrefix(lines[len(lines)-1], "waybill: no "+lang+" toolchain: ") {
		t.Skip(lines[len(lines)-1])
	}
	if code != 0 || !strings.HasPrefix(built, "demo.wasm  ") {
		t.Fatalf("build: exit %d: %s%s", code, built, stderr)
	}
	if again := must("build"); again != built {
		t.Errorf("built again: %s, first %s", again, built)
	}
	if out := must("check", "."); !strings.Contains(out, "0 failed") {
		t.Errorf("check compared nothing: %s", out)
	}
	if out := must("test"); !strings.Contains(out, "0 failed") {
		t.Errorf("test ran nothing: %s", out)
	}
	files := strings.Fields(must("inspect", "--json", "demo.wasm"))
	if !slices.ContainsFunc(files, func(s string) bool { return strings.Contains(s, `"dialect":"k1"`) }) {
		t.Errorf("inspect: %v", files)
	}
}
