package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

const drainPipeline = `waybill: v1
name: drain
run: { concurrency: 4, drain: %s, retry: { attempts: 3 } }
stages:
  - claim: { from: sqlite:q.db, lease: 30s }
  - %s
`

// stopped is a run that got SIGTERM while four items were in flight.
func (w workspace) stopped(s *site, signals int, release bool) (code int, took time.Duration, stderr string) {
	w.t.Helper()
	s.hold.Store(true)
	s.after(4)
	cmd, errOut := w.command("run", "pipeline.yaml")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-s.hit:
	case err := <-exited:
		w.t.Fatalf("the run ended by itself: %v: %s", err, errOut)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		w.t.Fatalf("nothing is in flight: %s", errOut)
	}
	began := time.Now()
	// Two of one kind could arrive as one.
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT}[:signals] {
		if err := cmd.Process.Signal(sig); err != nil {
			w.t.Fatal(err)
		}
	}
	if release {
		s.letGo()
	}
	select {
	case <-exited:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		w.t.Fatalf("the run survived SIGTERM: %s", errOut)
	}
	return cmd.ProcessState.ExitCode(), time.Since(began), errOut.String()
}

// Items that hang at the end of the drain go back without losing an attempt.
func TestTerminate(t *testing.T) {
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1s", fmt.Sprintf("send: { to: %q }", s.URL)))
	code, took, stderr := w.stopped(s, 1, false)
	if code != 3 || took < time.Second {
		t.Errorf("exit %d after %s, want 3 after the drain's bound: %s", code, took, stderr)
	}
	w.wantUntouched(20)
}

// Items that finish in time count.
func TestTerminateFinishes(t *testing.T) {
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1m", fmt.Sprintf("send: { to: %q }", s.URL)))
	if code, _, stderr := w.stopped(s, 1, true); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, stderr)
	}
	if st := w.stats(); st.Done < 4 || st.Leased != 0 || st.Done+st.Ready != 20 {
		t.Errorf("stats %+v, want the four in flight done and none leased", st)
	}
}

// A browser must not outlive its run.
func TestTerminateWithBrowser(t *testing.T) {
	s := newSite(t)
	steps := fmt.Sprintf("execute: { steps: [ { navigate: %q } ] }", s.URL+"/${{ item.body.n }}")
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1s", steps))
	if code, _, stderr := w.stopped(s, 1, false); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, stderr)
	}
	w.wantUntouched(20)
	if left := processesOf(t, w.dir); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

// The second signal does not wait for the drain's bound.
func TestTerminateTwice(t *testing.T) {
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "10m", fmt.Sprintf("send: { to: %q }", s.URL)))
	if code, _, stderr := w.stopped(s, 2, false); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, stderr)
	}
	w.wantUntouched(20)
}

// wantUntouched checks that the queue is as if the run had never been.
func (w workspace) wantUntouched(n int64) {
	w.t.Helper()
	if st := w.stats(); st.Ready != n || st.Leased != 0 || st.Dead != 0 {
		w.t.Errorf("stats %+v, want %d ready", st, n)
	}
	for _, e := range w.entries() {
		if e.State != pipeline.StateReady || e.Attempts != 0 {
			w.t.Errorf("item %s: %s, %d attempts; want ready with none used", e.ID, e.State, e.Attempts)
		}
	}
}

// processesOf lists processes that know a folder from their arguments or
// environment, as every child of a run there does.
func processesOf(t *testing.T, dir string) (out []string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if p == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		cmdline, _ := os.ReadFile(p + "/cmdline")
		environ, _ := os.ReadFile(p + "/environ")
		if strings.Contains(string(cmdline)+string(environ), dir) {
			out = append(out, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return out
}
