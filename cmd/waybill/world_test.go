package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// site is a place for runs to be killed in: an endpoint in the middle of the
// pipeline that counts what arrives and calls back.
type site struct {
	*httptest.Server
	hits   atomic.Int64
	wanted atomic.Int64
	hit    chan struct{}
	hold   atomic.Bool
	done   chan struct{}
	once   sync.Once
}

func newSite(t *testing.T) *site {
	s := &site{hit: make(chan struct{}, 1), done: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if s.hits.Add(1) == s.wanted.Load() {
			s.hit <- struct{}{}
		}
		if s.hold.Load() {
			select {
			case <-r.Context().Done():
			case <-s.done:
			}
		}
	}))
	t.Cleanup(func() { s.letGo(); s.Close() })
	return s
}

// letGo answers the requests that are held, and all to come.
func (s *site) letGo() { s.once.Do(func() { close(s.done) }) }

// after arranges for hit to be signalled at the n-th request from now.
func (s *site) after(n int64) { s.wanted.Store(s.hits.Load() + n) }

// workspace is a folder with a pipeline and a full queue.
type workspace struct {
	t   *testing.T
	dir string
}

func newWorkspace(t *testing.T, items int, pipelineFile string) workspace {
	t.Helper()
	w := workspace{t, t.TempDir()}
	// If we are root, Chrome runs as another user and must get to its profile.
	for dir := w.dir; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	var lines bytes.Buffer
	for i := range items {
		fmt.Fprintf(&lines, "{\"id\":\"i%d\",\"key\":\"k%d\",\"body\":{\"n\":%d}}\n", i, i%7, i)
	}
	w.write("items.jsonl", lines.String())
	w.write("pipeline.yaml", pipelineFile)
	if out, code := w.waybill("enqueue", "--to", "sqlite:q.db", "items.jsonl"); code != 0 {
		t.Fatalf("enqueue: exit %d: %s", code, out)
	}
	return w
}

func (w workspace) runtimeDir() string { return filepath.Join(w.dir, ".runtime") }

func (w workspace) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// command runs the program that TestMain built.
func (w workspace) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	path, err := exec.LookPath("waybill")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "WAYBILL_CACHE="+w.dir+"/.cache", "WAYBILL_RUNTIME_DIR="+w.runtimeDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// waybill runs a command to its end and returns its standard output, or its
// standard error if it failed.
func (w workspace) waybill(args ...string) (string, int) {
	w.t.Helper()
	cmd, stderr := w.command(args...)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return string(out) + stderr.String(), cmd.ProcessState.ExitCode()
}

func (w workspace) stats() (s pipeline.QueueStats) {
	w.t.Helper()
	w.decode(&s, "queue", "stats", "--from", "sqlite:q.db", "--json")
	return s
}

func (w workspace) decode(v any, args ...string) {
	w.t.Helper()
	out, code := w.waybill(args...)
	if err := json.Unmarshal([]byte(out), v); err != nil || code != 0 {
		w.t.Fatalf("waybill %s: exit %d, %v: %s", strings.Join(args, " "), code, err, out)
	}
}

func (w workspace) entries() (out []pipeline.Entry) {
	w.t.Helper()
	text, code := w.waybill("queue", "ls", "--from", "sqlite:q.db", "--limit", "0", "--json")
	if code != 0 {
		w.t.Fatalf("queue ls: exit %d: %s", code, text)
	}
	for line := range strings.Lines(text) {
		var e pipeline.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
