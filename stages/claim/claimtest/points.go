package claimtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// Which store the script's process works on, and at which point it dies.
const (
	scriptEnv = "WAYBILL_CLAIMTEST_SCRIPT"
	pointEnv  = "WAYBILL_CLAIMTEST_POINT"
)

// OpenWithPoints opens a queue of the store at a location, in the real clock.
// The driver calls point between every two of its writes, and before the first
// and after the last one of a call, from whichever goroutine writes. The name
// says where, for the report ("ack: written").
type OpenWithPoints func(location string, o pipeline.QueueOptions, point func(name string)) (pipeline.Queue, error)

// CrashPoints kills a process at the first, the second, the third crash point of
// its driver, and so on, until one comes to the end of its script. After each
// death it opens the store, lets the leases of the dead expire, and checks what
// they have left: see inspect. A driver's test is one call:
//
//	func TestCrashPoints(t *testing.T) { claimtest.CrashPoints(t, newStore, openWithPoints) }
//
// newStore makes an empty store with a Location, and opens nothing itself. The
// killed process is the same test binary, which runs the same test again; there
// CrashPoints never returns, and newStore is not called.
func CrashPoints(t *testing.T, newStore func(t testing.TB) Store, open OpenWithPoints) {
	t.Helper()
	if location := os.Getenv(scriptEnv); location != "" {
		os.Exit(perform(location, open))
	}
	var next atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !over.Load() && !t.Failed() {
				n := next.Add(1)
				t.Run(fmt.Sprint("point ", n), func(t *testing.T) {
					b := &bench{T: t, store: newStore(t)}
					d := die(b, n)
					inspect(b, d)
					if d.over {
						over.Store(true)
						d.enough(t, n-1)
					}
				})
			}
		})
	}
	wg.Wait()
}

// diary is what a process wrote down before it died.
type diary struct {
	notes []note
	point string // where it died
	over  bool   // it did not: the script has fewer points
}

// die lets a process run until its n-th point.
func die(b *bench, n int64) diary {
	b.Helper()
	test, _, _ := strings.Cut(b.Name(), "/")
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(test)+"$")
	cmd.Env = append(os.Environ(), scriptEnv+"="+b.store.Location, pointEnv+"="+strconv.FormatInt(n, 10))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	var d diary
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l note
		if json.Unmarshal(sc.Bytes(), &l) != nil {
			continue // the test binary's own words
		}
		switch l.Op {
		case opPoint:
			d.point = l.Name
		case opOver:
			d.over = true
		default:
			d.notes = append(d.notes, l)
		}
	}
	err = cmd.Wait()
	if d.point == "" && !d.over {
		b.Fatalf("the process ended by itself: %v\n%s", err, stderr.String())
	}
	return d
}

// enough checks that the driver calls its hook at least once in every call that
// writes.
func (d diary) enough(t *testing.T, points int64) {
	calls := int64(0)
	for _, l := range d.notes {
		if l.Done {
			calls++
		}
	}
	t.Logf("%d crash points in %d calls", points, calls)
	if points < calls {
		t.Errorf("%d crash points in %d calls that write: the driver does not call its hook between every two writes", points, calls)
	}
}

// perform is the process that is to die.
func perform(location string, open OpenWithPoints) int {
	err := func() error {
		at, err := strconv.ParseInt(os.Getenv(pointEnv), 10, 64)
		if err != nil {
			return err
		}
		var seen atomic.Int64
		out := json.NewEncoder(os.Stdout)
		point := func(name string) {
			if seen.Add(1) != at {
				return
			}
			if err := out.Encode(note{Op: opPoint, Name: name}); err == nil {
				_ = suicide()
			}
			select {} // until the signal is here
		}
		q, err := open(location, pipeline.QueueOptions{Create: true, Lease: Lease, Owner: "victim"}, point)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		return (&script{q: q, out: out}).run()
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "script:", err)
		return 1
	}
	return 0
}

// suicide is kill -9 of this process.
func suicide() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return p.Kill()
}
