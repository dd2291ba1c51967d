package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

const clusterPipeline = `waybill: v1
name: many
version: %d
run: { concurrency: 4, retry: { attempts: 5 } }
stages:
  - claim: { from: sqlite:q.db, lanes: %s, lease: 2s }
  - send: { to: %q, what: item }
    limit: { concurrency: 6 }
`

// patience is for what takes seconds on a machine that does something else too.
const patience = 2 * time.Minute

// ledger is an endpoint that notes in what order items arrive, and how many of
// them are there at a time.
type ledger struct {
	*httptest.Server
	mu       sync.Mutex
	seen     map[string][]int // first arrivals, by key
	known    map[string]bool
	now, max atomic.Int64
	gate     chan struct{} // closed: nobody waits any more
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{seen: map[string][]int{}, known: map[string]bool{}, gate: make(chan struct{})}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var it struct {
			ID, Key string
			Body    struct{ N int }
		}
		if err := json.NewDecoder(r.Body).Decode(&it); err != nil {
			t.Error(err)
		}
		n := l.now.Add(1)
		defer l.now.Add(-1)
		for m := l.max.Load(); n > m && !l.max.CompareAndSwap(m, n); m = l.max.Load() {
		}
		l.mu.Lock()
		if !l.known[it.ID] {
			l.known[it.ID] = true
			l.seen[it.Key] = append(l.seen[it.Key], it.Body.N)
		}
		l.mu.Unlock()
		select {
		case <-l.gate:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { l.open(); l.Close() })
	return l
}

func (l *ledger) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gate:
	default:
		close(l.gate)
	}
}

// peer is a run among others.
type peer struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	exited chan struct{}
}

func (w workspace) peer(args ...string) *peer {
	w.t.Helper()
	cmd, stderr := w.command(append([]string{"run"}, args...)...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	p := &peer{cmd, stderr, make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.exited) }()
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); <-p.exited })
	return p
}

// code waits for the end of a run.
func (p *peer) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the run does not end: %s", p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// status is what `waybill status` says.
type status struct {
	Queue string
	pipeline.QueueStats
	Workers []cluster.Worker
}

// until asks for the status until it is as wanted.
func (w workspace) until(what string, wanted func(status) bool) status {
	w.t.Helper()
	var s status
	pace := time.NewTicker(250 * time.Millisecond)
	defer pace.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-pace.C {
		s = status{}
		w.decode(&s, "status", "--from", "sqlite:q.db", "--json")
		if wanted(s) {
			return s
		}
	}
	w.t.Fatalf("%s: not within %v: %+v", what, patience, s)
	return s
}

// shares are the numbers of lanes that the workers hold, if no lane is held
// twice; the least first.
func shares(workers []cluster.Worker) (out []int) {
	var all cluster.Lanes
	for _, w := range workers {
		if all&w.Lanes != 0 {
			return nil
		}
		all |= w.Lanes
		out = append(out, w.Lanes.Count())
	}
	slices.Sort(out)
	return out
}

// crowd is a workspace with items of many keys.
func crowd(t *testing.T, items int, l *ledger, lanes string) workspace {
	w := workspace{t, t.TempDir()}
	var lines strings.Builder
	for i := range items {
		fmt.Fprintf(&lines, "{\"id\":\"i%d\",\"key\":\"k%d\",\"body\":{\"n\":%d}}\n", i, i%50, i)
	}
	w.write("items.jsonl", lines.String())
	w.write("pipeline.yaml", fmt.Sprintf(clusterPipeline, 1, lanes, l.URL))
	if out, code := w.waybill("enqueue", "--to", "sqlite:q.db", "items.jsonl"); code != 0 {
		t.Fatalf("enqueue: exit %d: %s", code, out)
	}
	return w
}

// TestLeasedLanes: real processes share the lanes of a queue; one is killed, and
// the others take its lanes over. The order of each key is kept, and all of them
// together never exceed the stage's limit, but for what the killed one had sent.
func TestLeasedLanes(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	w := crowd(t, 400, l, "leased")
	first := w.peer("pipeline.yaml", "--until-empty")
	w.until("one process has all lanes", func(s status) bool { return slices.Equal(shares(s.Workers), []int{64}) })
	w.peer("pipeline.yaml", "--until-empty")
	w.peer("pipeline.yaml", "--until-empty")
	// Nothing ends yet: what the first has in hand, it keeps.
	s := w.until("three processes share the lanes", func(s status) bool { return slices.Equal(shares(s.Workers), []int{21, 21, 22}) })
	if s.Leased == 0 || s.Workers[0].Pipeline != "many" || s.Workers[0].Version != 1 {
		t.Errorf("status: %+v", s)
	}
	if l.max.Load() > 6 {
		t.Errorf("%d items at a time, and the limit is 6", l.max.Load())
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	w.until("two processes share the lanes", func(s status) bool { return slices.Equal(shares(s.Workers), []int{32, 32}) })
	l.open()
	w.until("all is done", func(s status) bool { return s.Done == 400 })
	for key, order := range l.seen {
		if !slices.IsSorted(order) || len(order) != 8 {
			t.Errorf("key %s arrived as %v", key, order)
		}
	}
	w.until("nobody is left", func(s status) bool { return len(s.Workers) == 0 })
}

// TestRollout: a newer version of the pipeline takes over from running processes,
// and an older one only if it is told to.
func TestRollout(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.open()
	w := crowd(t, 20, l, "any")
	w.write("v2.yaml", fmt.Sprintf(clusterPipeline, 2, "any", l.URL))
	old := w.peer("pipeline.yaml")
	w.until("version 1 runs", func(s status) bool { return len(s.Workers) == 1 && s.Done == 20 })
	newer := w.peer("v2.yaml")
	if code := old.code(t); code != 0 || !strings.Contains(old.stderr.String(), `version 2 of pipeline "many" has been rolled out`) {
		t.Errorf("version 1: exit %d: %s", code, old.stderr)
	}
	if out, code := w.waybill("run", "pipeline.yaml", "--until-empty"); code != 2 || !strings.Contains(out, "--rollback") {
		t.Errorf("version 1 again: exit %d: %s", code, out)
	}
	if out, code := w.waybill("run", "pipeline.yaml", "--until-empty", "--rollback"); code != 0 {
		t.Errorf("rollback: exit %d: %s", code, out)
	}
	if code := newer.code(t); code != 0 || !strings.Contains(newer.stderr.String(), "rolled back") {
		t.Errorf("version 2: exit %d: %s", code, newer.stderr)
	}
}
