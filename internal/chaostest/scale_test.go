package chaostest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// scaleVariable asks for the measurement: it takes minutes and a quiet machine.
const scaleVariable = "WAYBILL_SCALE"

var (
	scaleSlots = flag.Int("scale.concurrency", 1, "items in flight in each process of TestScale")
	scaleTime  = flag.Duration("scale.time", 8*time.Second, "how long TestScale measures each number of processes")
	scalePause = flag.Duration("scale.pause", 20*time.Millisecond, "how long the stage of TestScale waits for each item")
)

const (
	// longPause is what the stage waits in a second series: with a fifth of the items
	// per second it shows how the claims scale where the machine is not the limit.
	longPause = 100 * time.Millisecond
	// wantLinear is the part of linear that TestScale wants.
	wantLinear = 0.9
	// saturated is the part of all cores from which on TestScale measures the
	// machine: engine, workers and the test share it.
	saturated = 0.7
	// memory is where the engines keep their files if there is such a place: how
	// disks scale is another question.
	memory = "/dev/shm"
)

const scalePipeline = `waybill: v1
name: scale
run: { concurrency: %d, drain: 10s }
stages:
  - claim: { from: %q, queue: %q }
  - send: { to: %q, what: body }
`

// TestScale measures how many items per second 1, 2, 4 and 8 processes do whose
// only stage asks a server that answers after a pause. It wants 0.9 of linear,
// unless the machine had nothing left to give.
func TestScale(t *testing.T) {
	if os.Getenv(scaleVariable) == "" {
		t.Skip("it measures for minutes: make scale")
	}
	files := "a disk"
	if at, err := os.Stat(memory); err == nil && at.IsDir() {
		t.Setenv("TMPDIR", memory)
		files = memory
	}
	var rows []string
	for _, pause := range []time.Duration{*scalePause, longPause} {
		for _, name := range []string{"sqlite", "nats", "mongodb"} {
			t.Run(fmt.Sprint(name, " ", pause), func(t *testing.T) {
				e := &engine{direct: "sqlite:" + filepath.Join(t.TempDir(), "q.db")} // not on the small disk of the chaos
				if name != "sqlite" {
					e = engines[name](t, pipeline.DefaultLease)
				}
				single := 0.0
				for _, n := range []int{1, 2, 4, 8} {
					m := measure(t, e, n, pause)
					if n == 1 {
						single = m.rate
					}
					linear, note := m.rate/single/float64(n), ""
					switch {
					case linear >= wantLinear:
					case m.busy < saturated:
						t.Errorf("%d processes do %.2f of %d times what one does; the machine was %.0f %% busy", n, linear, n, 100*m.busy)
					default:
						note = "machine saturated"
					}
					rows = append(rows, fmt.Sprintf("| %s | %v | %d | %.0f | %.2f | %.2f | %.0f %% | %s |", name, pause, n, m.rate, linear,
						m.rate/float64(n)*pause.Seconds()/float64(*scaleSlots), 100*m.busy, note))
				}
			})
		}
	}
	t.Logf("%d in flight per process, the engines' files on %s:\n| driver | pause | processes | items/s | of linear | of what the waits allow | machine busy | |\n|---|---|---|---|---|---|---|---|\n%s",
		*scaleSlots, files, strings.Join(rows, "\n"))
}

// measured is the result for one number of processes.
type measured struct {
	rate float64 // items per second
	busy float64 // part of all cores' time that was used, by anybody
}

// measure lets n processes work on a queue that never runs dry, and counts what
// comes to the server while all of them are at work.
func measure(t *testing.T, e *engine, n int, pause time.Duration) measured {
	t.Helper()
	name := fmt.Sprint("scale-", n)
	q := open(t, e.direct, pipeline.QueueOptions{Queue: name, Owner: "tests", Create: true})
	s := newSlowServer(t, pause)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var filling sync.WaitGroup
	filling.Go(func() { fill(ctx, t, q, s, 100*n) })
	c := newCrew(t, t.TempDir())
	for i := range n {
		c.hire(&slot{number: i}, fmt.Sprintf(scalePipeline, *scaleSlots, e.direct, name, s.URL))
	}
	if !wait(ctx, 3*time.Second) { // until all have started
		t.Fatal(ctx.Err())
	}
	idle, all := cores(t)
	began, done := time.Now(), s.answered()
	wait(ctx, *scaleTime)
	rate := float64(s.answered()-done) / time.Since(began).Seconds()
	idleAfter, allAfter := cores(t)
	stop()
	filling.Wait()
	c.dismiss()
	return measured{rate, 1 - float64(idleAfter-idle)/float64(allAfter-all)}
}

// fill keeps some items waiting.
func fill(ctx context.Context, t *testing.T, q pipeline.Queue, s *slowServer, most int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for next := 0; ctx.Err() == nil; {
		var items []pipeline.NewItem
		for ; next < s.answered()+most && len(items) < 100; next++ {
			items = append(items, pipeline.NewItem{Key: fmt.Sprint("k", next%(10*pipeline.QueueLanes))})
		}
		if len(items) > 0 {
			if _, err := q.Enqueue(ctx, items); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// slowServer answers each request after the pause, and counts.
type slowServer struct {
	*httptest.Server
	mu sync.Mutex
	n  int
}

func newSlowServer(t *testing.T, pause time.Duration) *slowServer {
	s := &slowServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if wait(r.Context(), pause) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.n++
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *slowServer) answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// cores returns the ticks that all cores have been idle, and all ticks: the first
// line of /proc/stat, see proc(5).
func cores(t *testing.T) (idle, all int) {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		all += n
		if slices.Contains([]int{3, 4}, i) { // idle, iowait
			idle += n
		}
	}
	return idle, all
}
