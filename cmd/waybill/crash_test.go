package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	crashItems = 500
	crashKills = 20
	// perLife is the most items that a life gets done before it is killed, so
	// that enough is left for the last one.
	perLife = 22
)

const crashPipeline = `waybill: v1
name: crash
run: { concurrency: 4, retry: { attempts: 2 } }
stages:
  - claim: { from: sqlite:q.db, lease: 1s }
  - send: { to: %q }
  - transform: { body: { square: "${{ item.body.n * item.body.n }}" } }
  - store: { to: file:objects, copies: 2 }
  - witness: { log: file:log, key: file:keys/witness.key }
`

// TestKill kills runs over one queue at random moments and then runs to the
// end: nothing is lost, nothing has two outcomes, and everything has a receipt,
// also an item whose workers were killed once too often.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorkspace(t, crashItems, fmt.Sprintf(crashPipeline, s.URL))
	for life := range crashKills {
		w.liveAndDie(s, life)
		if st := w.stats(); st.Ready+st.Leased+st.Done+st.Dead != crashItems || st.Enqueued != crashItems {
			t.Fatalf("after kill %d the queue does not add up: %+v", life, st)
		}
	}
	if st := w.stats(); st.Done+st.Dead == crashItems {
		t.Fatalf("all items were done before the last run: the kills came too late")
	}
	out, code := w.waybill("run", "pipeline.yaml", "--until-empty", "--json")
	st := w.stats()
	if code > 1 || code == 1 && st.Dead == 0 {
		t.Fatalf("the last run: exit %d: %s", code, out)
	}
	if st.Done+st.Dead != crashItems || st.Enqueued != crashItems {
		t.Errorf("stats after the last run: %+v", st)
	}
	t.Logf("%d done, %d dead", st.Done, st.Dead)
	w.checkReceipts()
}

// liveAndDie starts a run and kills it a moment after a random request.
func (w workspace) liveAndDie(s *site, life int) {
	w.t.Helper()
	s.after(1 + rand.Int64N(perLife))
	cmd, stderr := w.command("run", "pipeline.yaml", "--until-empty")
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-s.hit:
	case err := <-exited:
		w.t.Fatalf("life %d ended before it was killed: %v: %s", life, err, stderr)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		w.t.Fatalf("life %d does nothing: %s", life, stderr)
	}
	// Somewhere between this request and the acknowledgement of its item.
	moment := time.NewTimer(rand.N(8 * time.Millisecond))
	defer moment.Stop()
	<-moment.C
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-exited
}

// checkReceipts checks that each item has one outcome and one receipt that
// verifies and is the one that the queue names.
func (w workspace) checkReceipts() {
	w.t.Helper()
	seen := map[string]pipeline.Digest{}
	for _, e := range w.entries() {
		done := e.State == pipeline.StateDone && e.Result == pipeline.Succeeded
		dead := e.State == pipeline.StateDead && e.Result == pipeline.Dead
		if !done && !dead || e.Digest == "" {
			w.t.Errorf("item %s: state %s, result %q, digest %q", e.ID, e.State, e.Result, e.Digest)
		}
		if _, twice := seen[e.ID]; twice {
			w.t.Errorf("item %s has two outcomes", e.ID)
		}
		seen[e.ID] = e.Digest
	}
	if len(seen) != crashItems {
		w.t.Errorf("%d items, want %d", len(seen), crashItems)
	}
	var report struct {
		Receipts, OK int
		Failed       []pipeline.Verdict
	}
	w.decode(&report, "verify", "--log", "file:log", "--store", "file:objects", "--json")
	if report.Receipts != crashItems || report.OK != crashItems || len(report.Failed) != 0 {
		w.t.Errorf("verify: %d receipts, %d ok, failed %v; want %d", report.Receipts, report.OK, report.Failed, crashItems)
	}
	for id, digest := range seen {
		w.checkReceipt(id, digest)
	}
}

// checkReceipt compares an item's receipt file with the digest in the queue:
// that of the statement, which the proof carries in its extra line.
func (w workspace) checkReceipt(id string, digest pipeline.Digest) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "log", "receipts", "*", id+".tlog-proof"))
	if err != nil || len(files) != 1 {
		w.t.Errorf("item %s has %d receipts, want 1 (%v)", id, len(files), err)
		return
	}
	proof, err := os.ReadFile(files[0])
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(proof)) {
		extra, ok := strings.CutPrefix(line, "extra ")
		if !ok {
			continue
		}
		statement, err := base64.StdEncoding.DecodeString(strings.TrimSpace(extra))
		if err != nil || pipeline.DigestOf(statement) != digest {
			w.t.Errorf("item %s: the queue names %s, its receipt is %s (%v)", id, digest, pipeline.DigestOf(statement), err)
		}
		return
	}
	w.t.Errorf("item %s: the receipt has no statement", id)
}
