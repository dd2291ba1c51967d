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

// TestFullDisk fills a tiny disk in the middle of a run. That is no item's
// fault: none is lost and none loses an attempt; they wait until there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := workspace{t, t.TempDir()}
	disk := filepath.Join(w.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("a tiny disk cannot be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	var lines strings.Builder
	for i := range 10 {
		fmt.Fprintf(&lines, "{\"id\":\"i%d\",\"body\":\"%d%s\"}\n", i, i, strings.Repeat("x", 100<<10))
	}
	w.write("items.jsonl", lines.String())
	w.write("pipeline.yaml", "waybill: v1\nname: full\nrun: { retry: { attempts: 1 } }\nstages:\n"+
		"  - claim: { from: sqlite:q.db }\n  - store: { to: file:disk/objects }\n")
	if out, code := w.waybill("enqueue", "--to", "sqlite:q.db", "items.jsonl"); code != 0 {
		t.Fatal(out)
	}
	cmd, stderr := w.command("run", "pipeline.yaml", "--until-empty")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var st pipeline.QueueStats
	for began := time.Now(); st.Done == 0 || st.Delayed == 0 || st.Leased > 0; st = w.stats() {
		select {
		case err := <-exited:
			t.Fatalf("the run ended on a full disk: %v: %s", err, stderr)
		default:
		}
		if time.Since(began) > time.Minute {
			_ = cmd.Process.Kill()
			t.Fatalf("want some items done and the others given back: %+v: %s", st, stderr)
		}
	}
	if st.Dead != 0 || st.Done == 10 {
		t.Errorf("stats %+v, want some done, the others waiting", st)
	}
	if reason := w.givenBack(); reason != "disk-full" {
		t.Errorf("items were given back because of %q, want disk-full", reason)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("with room again: %v: %s", err, stderr)
		}
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Kill()
		t.Fatalf("the run does not go on: %s", stderr)
	}
	if st := w.stats(); st.Done != 10 {
		t.Errorf("stats %+v, want 10 done", st)
	}
	for _, e := range w.entries() {
		if e.Attempts != 1 {
			t.Errorf("item %s: %d attempts, want 1", e.ID, e.Attempts)
		}
	}
	w.wantObjects(10)
}

// givenBack returns the code for which the first item was given back. (Its
// state does not matter: it may be claimed again by now.)
func (w workspace) givenBack() string {
	w.t.Helper()
	for _, e := range w.entries() {
		w.decode(&e, "queue", "show", "--from", "sqlite:q.db", e.ID, "--json")
		if len(e.History) > 0 && e.History[0].What == "released" {
			return e.History[0].Code
		}
	}
	return ""
}

// wantObjects checks that so many objects are stored, and none is half.
func (w workspace) wantObjects(n int64) {
	w.t.Helper()
	var report struct {
		OK     int64
		Failed []any
	}
	w.decode(&report, "blob", "verify", "--store", "file:disk/objects", "--json")
	if report.OK != n || len(report.Failed) != 0 {
		w.t.Errorf("%d intact objects, failed %v; want %d intact", report.OK, report.Failed, n)
	}
}
