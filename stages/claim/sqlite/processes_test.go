package sqlite_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

// workerEnv tells the test binary that it is one of several processes on the
// file of this path.
const workerEnv = "WAYBILL_SQLITE_WORKER"

// run is an item's time with a worker, by the machine's clock.
type run struct {
	ID, Key  string
	Token    int64
	From, To int64
}

// worker claims and acknowledges until nothing is left, once its standard input
// has ended: all of them begin at the same time.
func worker(path string) int {
	err := func() error {
		q, err := open(sqlite.Driver(), path, pipeline.QueueOptions{Owner: fmt.Sprint(os.Getpid())})
		if err != nil {
			return err
		}
		defer q.Close()
		fmt.Println("ready")
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			return err
		}
		out := json.NewEncoder(os.Stdout)
		for n := 1; ; n++ {
			items, err := q.Claim(context.Background(), 1+n%4)
			if err != nil {
				return err
			}
			if len(items) == 0 {
				if left, _, err := q.Pending(context.Background()); left == 0 || err != nil {
					return err
				}
			}
			for _, it := range items {
				r := run{ID: it.ID, Key: it.Key, Token: it.Token, From: time.Now().UnixNano()}
				r.To = time.Now().UnixNano()
				if err := q.Ack(context.Background(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
					return err
				}
				if err := out.Encode(r); err != nil {
					return err
				}
			}
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

// TestProcesses: four processes work on one file at once. Each item runs once,
// and those of a key one after the other, in their order.
func TestProcesses(t *testing.T) {
	const processes, keys, each, bare = 4, 10, 12, 200
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	items := make([]pipeline.NewItem, bare, bare+keys*each)
	for i := range keys * each {
		items = append(items, pipeline.NewItem{ID: fmt.Sprintf("k%02d", i/keys), Key: fmt.Sprint("key", i%keys), Priority: i % 3})
		items[bare+i].ID += fmt.Sprint("-", i%keys)
	}
	if _, err := q.Enqueue(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	all := runProcesses(t, path, processes)
	seen, byKey := map[string]bool{}, map[string][]run{}
	for _, r := range all {
		if seen[r.ID] {
			t.Errorf("%s ran twice", r.ID)
		}
		seen[r.ID] = true
		if r.Key != "" {
			byKey[r.Key] = append(byKey[r.Key], r)
		}
	}
	if len(seen) != len(items) || len(byKey) != keys {
		t.Errorf("%d of %d items ran, of %d keys", len(seen), len(items), len(byKey))
	}
	for key, runs := range byKey {
		slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.From, b.From) })
		for i := 1; i < len(runs); i++ {
			if runs[i].From < runs[i-1].To || runs[i].ID < runs[i-1].ID {
				t.Errorf("%s: %+v and then %+v", key, runs[i-1], runs[i])
			}
		}
	}
	if s, err := q.Stats(t.Context()); s.Done != int64(len(items)) || s.Enqueued != s.Done || err != nil {
		t.Errorf("stats %+v, error %v", s, err)
	}
	checkFile(t, path, 2)
}

// runProcesses starts workers, lets them go together and returns all that they
// ran.
func runProcesses(t *testing.T, path string, n int) (all []run) {
	t.Helper()
	var mu sync.Mutex
	var ready, ended sync.WaitGroup
	starts := make([]io.Closer, n)
	for i := range n {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), workerEnv+"="+path)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		starts[i] = in
		ready.Add(1)
		ended.Go(func() {
			lines := bufio.NewScanner(out)
			lines.Scan() // "ready", or nothing from one that failed
			ready.Done()
			for lines.Scan() {
				var r run
				if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
					t.Errorf("line %q: %v", lines.Text(), err)
				}
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("a worker failed: %v: %s", err, stderr.String())
			}
		})
	}
	ready.Wait()
	for _, in := range starts {
		_ = in.Close()
	}
	ended.Wait()
	return all
}
