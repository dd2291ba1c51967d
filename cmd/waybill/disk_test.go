package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk fills a tiny disk in the middle of a run: the items that do not
// fit are dead with the reason, the others are whole, and nothing is half.
func TestFullDisk(t *testing.T) {
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
	out, code := w.waybill("run", "pipeline.yaml", "--until-empty", "--json")
	if code != 1 || !strings.Contains(out, "no space left on device") {
		t.Errorf("exit %d, want 1 and the reason: %s", code, out)
	}
	st := w.stats()
	if st.Dead == 0 || st.Done == 0 || st.Dead+st.Done != 10 {
		t.Errorf("stats %+v, want some done, some dead and no other", st)
	}
	var report struct {
		OK     int64
		Failed []any
	}
	w.decode(&report, "blob", "verify", "--store", "file:disk/objects", "--json")
	if report.OK != st.Done || len(report.Failed) != 0 {
		t.Errorf("%d intact objects, failed %v; want %d intact", report.OK, report.Failed, st.Done)
	}
}
