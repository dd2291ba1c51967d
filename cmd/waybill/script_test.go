package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain builds the program that all tests of this package run, as users get
// it: without the race detector, under which each of the hundreds of processes
// would take half a second to start. The race detector is on in the packages'
// own tests.
func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// goCache is Go's build cache; set by TestMain only.
var goCache string

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "build", "-o", dir, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "go env:", err)
		return 1
	}
	goCache = strings.TrimSpace(string(cache))
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// TestScript runs the stories in testdata/script. Each has a folder of its own,
// which is also its cache and runtime folder.
func TestScript(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		Setup: func(e *testscript.Env) error {
			e.Setenv("WAYBILL_CACHE", filepath.Join(e.WorkDir, ".cache"))
			e.Setenv("WAYBILL_RUNTIME_DIR", filepath.Join(e.WorkDir, ".runtime"))
			e.Setenv("REPO", repo)
			e.Values[registryKey{}] = new(*httptest.Server)
			e.Setenv("GOCACHE", goCache) // a home of its own would compile Go's library anew
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waybill": waybill, "flip": flip, "exits": exits, "registry": startRegistry, "expand": expand,
			"largeitem": largeItem, "samequeue": sameQueue, "mongodb": startMongoDB, "flipchunk": flipChunk},
	})
}

// waybill runs the program; "! waybill" wants it to fail.
func waybill(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("waybill", args...)
	switch {
	case neg && err == nil:
		ts.Fatalf("waybill %v: exit 0, want a failure", args)
	case !neg:
		ts.Check(err)
	}
}

// flip changes one bit in the middle of the first file that fits the pattern.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: flip pattern")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file fits %s", args[0])
	}
	b, err := os.ReadFile(files[0])
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.Chmod(files[0], 0o600))
	ts.Check(os.WriteFile(files[0], b, 0o600))
}

// exits runs a command that must end with this code: exits 2 waybill check x.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits code command args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == want, err == nil && want == 0:
	case err == nil:
		ts.Fatalf("exit 0, want %d", want)
	default:
		ts.Fatalf("%v, want exit %d", err, want)
	}
}
