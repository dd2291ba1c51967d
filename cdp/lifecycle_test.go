package cdp_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCloseLeavesNothing(t *testing.T) {
	o := cdptest.Options(t)
	o.Sessions, o.PerBrowser = 2, 1
	p, err := cdp.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	a, b := cdptest.Acquire(t, p), cdptest.Acquire(t, p)
	a.Close() // one closed, one in use
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*cdp.Session{a, b} {
		eventually(t, "all processes gone", func() bool { return len(cdp.GroupMembers(s.PID())) == 0 })
	}
	if left := list(t, o.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := p.Acquire(t.Context()); err != cdp.ErrPoolClosed {
		t.Errorf("Acquire after Close: %v", err)
	}
	// Goroutines are looked at by TestMain.
}

func TestSweepAfterKill(t *testing.T) {
	o := cdptest.Options(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envChild+"="+o.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	group, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := cdp.Sweep(o.Dir); n != 0 || err != nil {
		t.Fatalf("sweep beside a living owner: %d, %v", n, err)
	}
	if len(cdp.GroupMembers(group)) == 0 {
		t.Fatal("the browser does not run")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if left := list(t, o.Dir); len(left) == 0 {
		t.Fatal("the killed process left nothing to sweep")
	}
	if n, err := cdp.Sweep(o.Dir); n != 1 || err != nil {
		t.Errorf("sweep: %d, %v", n, err)
	}
	if left := list(t, o.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	eventually(t, "the browser is gone", func() bool { return len(cdp.GroupMembers(group)) == 0 })
}

// wrapper makes a browser that does something before it starts.
func wrapper(t *testing.T, script string) cdp.Binary {
	t.Helper()
	dir, err := os.MkdirTemp("", "cdptest-bin-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "chrome")
	body := fmt.Sprintf("#!/bin/sh\n%s\nexec %s \"$@\"\n", script, cdptest.Binary(t).Path)
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return cdp.Binary{Path: path}
}

func TestOutputIsDrained(t *testing.T) {
	url, _ := serve(t)
	o := cdptest.Options(t)
	// A pipe holds 64 KiB; a browser that prints more would stop.
	o.Binary = wrapper(t, "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero")
	s := cdptest.Acquire(t, cdptest.Pool(t, o))
	if _, err := s.Navigate(t.Context(), url); err != nil {
		t.Error(err)
	}
}

func TestBrowserThatDoesNotStart(t *testing.T) {
	o := cdptest.Options(t)
	o.Binary = wrapper(t, "echo 'the reason' >&2; exit 3")
	_, err := cdptest.Pool(t, o).Acquire(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if left := list(t, o.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("SECRET_FOR_TEST", "x")
	o := cdptest.Options(t)
	o.Binary = wrapper(t, `test -z "$SECRET_FOR_TEST" || { echo "the secret leaked" >&2; exit 4; }`)
	cdptest.Acquire(t, cdptest.Pool(t, o))
}

func TestSandboxIsOn(t *testing.T) {
	url, _ := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	if _, err := s.Navigate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	rs := s.Renderers()
	if len(rs) == 0 {
		t.Fatal("no renderer found")
	}
	for _, r := range rs {
		if r.Seccomp != "2" || r.UID == "0" {
			t.Errorf("renderer %+v is not confined", r)
		}
	}
	info, err := os.Stat(s.ProfileDir())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("drwx------", info.Mode().String()); diff != "" {
		t.Error(diff)
	}
}

func TestSandboxOffIsExplicit(t *testing.T) {
	o := cdptest.Options(t)
	o.SandboxOff = true
	r, err := cdp.Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sandboxed {
		t.Error("the report calls an unconfined browser sandboxed")
	}
}

func TestBrokenSandboxIsNamed(t *testing.T) {
	o := cdptest.Options(t)
	o.Binary = wrapper(t, "echo '[1:1:FATAL:zygote_host_impl_linux.cc] No usable sandbox! If you are running on Ubuntu' >&2; exit 1")
	_, err := cdptest.Pool(t, o).Acquire(t.Context())
	if err == nil || !strings.Contains(err.Error(), cdp.ErrSandbox.Error()) || !strings.Contains(err.Error(), "sandbox to off") {
		t.Errorf("got %v", err)
	}
}
