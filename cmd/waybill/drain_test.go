package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
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

// inFlight is a run with four items in flight.
type inFlight struct {
	t      *testing.T
	site   *site
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	exited chan error
}

// begin starts a run and waits until four of its items are held by the site.
func (w workspace) begin(s *site) *inFlight {
	w.t.Helper()
	s.hold.Store(true)
	s.after(4)
	cmd, stderr := w.command("run", "pipeline.yaml")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	r := &inFlight{w.t, s, cmd, stderr, make(chan error, 1)}
	go func() { r.exited <- cmd.Wait() }()
	select {
	case <-s.hit:
	case err := <-r.exited:
		w.t.Fatalf("the run ended by itself: %v: %s", err, stderr)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		w.t.Fatalf("nothing is in flight: %s", stderr)
	}
	return r
}

// stop sends the signals, answers the held requests if told to, and waits for
// the end of the run.
func (r *inFlight) stop(signals int, release bool) (code int, took time.Duration, stderr string) {
	r.t.Helper()
	began := time.Now()
	// Two of one kind could arrive as one.
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT}[:signals] {
		if err := r.cmd.Process.Signal(sig); err != nil {
			r.t.Fatal(err)
		}
	}
	if release {
		r.site.letGo()
	}
	select {
	case <-r.exited:
	case <-time.After(time.Minute):
		_ = r.cmd.Process.Kill()
		r.t.Fatalf("the run survived SIGTERM: %s", r.stderr)
	}
	return r.cmd.ProcessState.ExitCode(), time.Since(began), r.stderr.String()
}

// Items that hang at the end of the drain go back without losing an attempt.
func TestTerminate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1s", fmt.Sprintf("send: { to: %q }", s.URL)))
	code, took, stderr := w.begin(s).stop(1, false)
	if code != 3 || took < time.Second {
		t.Errorf("exit %d after %s, want 3 after the drain's bound: %s", code, took, stderr)
	}
	w.wantUntouched(20)
}

// Items that finish in time count.
func TestTerminateFinishes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1m", fmt.Sprintf("send: { to: %q }", s.URL)))
	if code, _, stderr := w.begin(s).stop(1, true); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, stderr)
	}
	if st := w.stats(); st.Done < 4 || st.Leased != 0 || st.Done+st.Ready != 20 {
		t.Errorf("stats %+v, want the four in flight done and none leased", st)
	}
}

// A browser must not outlive its run.
func TestTerminateWithBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	steps := fmt.Sprintf("execute: { network: { private: true }, steps: [ { navigate: %q } ] }", s.URL+"/${{ item.body.n }}")
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "1s", steps))
	r := w.begin(s)
	if found := w.browserProcesses(); len(found) == 0 {
		t.Error("no browser is found while it runs, so that none afterwards proves nothing")
	}
	if code, _, stderr := r.stop(1, false); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, stderr)
	}
	w.wantUntouched(20)
	if left := w.browserProcesses(); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, err := os.ReadDir(filepath.Join(w.runtimeDir(), "browsers")); err != nil || len(left) > 0 {
		t.Errorf("profiles left: %v, %v", left, err)
	}
}

// The second signal does not wait for the drain's bound.
func TestTerminateTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorkspace(t, 20, fmt.Sprintf(drainPipeline, "10m", fmt.Sprintf("send: { to: %q }", s.URL)))
	if code, _, stderr := w.begin(s).stop(2, false); code != 3 {
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

// browserProcesses lists the processes of this workspace's browsers: each knows
// its profile, which is in the runtime folder, from arguments or environment.
func (w workspace) browserProcesses() (out []string) {
	w.t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		w.t.Fatal(err)
	}
	profiles := filepath.Join(w.runtimeDir(), "browsers") + "/"
	for _, p := range procs {
		cmdline, _ := os.ReadFile(p + "/cmdline")
		environ, _ := os.ReadFile(p + "/environ")
		if strings.Contains(string(cmdline)+string(environ), profiles) {
			out = append(out, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return out
}
