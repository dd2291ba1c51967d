package claimtest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// Which store the script's process works on, and at which place it dies.
const (
	scriptEnv = "WAYBILL_CLAIMTEST_SCRIPT"
	placeEnv  = "WAYBILL_CLAIMTEST_PLACE"
)

// allPointsEnv set to "all" makes CrashPoints try every crash point. Without it only
// the first of those with the same name in the same kind of call is tried, and all
// of a retry of an older item.
const allPointsEnv = "WAYBILL_CRASH_POINTS"

// place is where a process dies: at the n-th crash point with this name in calls
// of this kind. With n = 0 it dies nowhere and tells of every point.
type place struct {
	During, Point string
	N             int
}

// OpenWithPoints opens a queue of the store at a location, in the real clock.
// The driver calls point between every two of its writes, and before the first
// and after the last one of a call, from whichever goroutine writes. The name
// says where, for the report ("ack: written").
type OpenWithPoints func(location string, o pipeline.QueueOptions, point func(name string)) (pipeline.Queue, error)

// CrashPoints lets a process go through its script and learns the crash points of
// its driver; then it kills a process at each of them (see allPointsEnv). After each
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
	var places []place
	t.Run("survey", func(t *testing.T) {
		b := &bench{T: t, store: newStore(t)}
		d := die(b, place{})
		inspect(b, d)
		d.enough(t)
		places = d.places(os.Getenv(allPointsEnv) == "all")
	})
	todo := make(chan place, len(places))
	for _, p := range places {
		todo <- p
	}
	close(todo)
	var missed atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range todo {
				t.Run(fmt.Sprintf("%s, %s %d", cmp.Or(p.During, "idle"), p.Point, p.N), func(t *testing.T) {
					b := &bench{T: t, store: newStore(t)}
					d := die(b, p)
					inspect(b, d)
					if d.over {
						missed.Add(1)
					}
				})
			}
		})
	}
	wg.Wait()
	// What a driver does in the background falls into another call each time.
	t.Logf("%d deaths, %d places were not met again", len(places), missed.Load())
	if 5*int(missed.Load()) > len(places) {
		t.Errorf("%d of %d places were not met again", missed.Load(), len(places))
	}
}

// diary is what a process wrote down before it died.
type diary struct {
	notes  []note
	points []place // in their order; N is 0
	over   bool    // it came to the end of the script
}

// places are those to die at: of each kind the first, or all.
func (d diary) places(all bool) (out []place) {
	seen := map[place]int{}
	for _, p := range d.points {
		seen[p]++
		if n := seen[p]; n == 1 || all || p.During == opRetryOlder {
			out = append(out, place{p.During, p.Point, n})
		}
	}
	return out
}

// die lets a process run until it comes to the place.
func die(b *bench, at place) diary {
	b.Helper()
	where, err := json.Marshal(at)
	if err != nil {
		b.Fatal(err)
	}
	test, _, _ := strings.Cut(b.Name(), "/")
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(test)+"$")
	cmd.Env = append(os.Environ(), scriptEnv+"="+b.store.Location, placeEnv+"="+string(where))
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
			d.points = append(d.points, place{During: l.Value, Point: l.Name})
		case opOver:
			d.over = true
		default:
			d.notes = append(d.notes, l)
		}
	}
	err = cmd.Wait()
	if !d.over && len(d.points) == 0 {
		b.Fatalf("the process ended by itself: %v\n%s", err, stderr.String())
	}
	return d
}

// enough checks that the driver calls its hook at least once in every call that
// writes.
func (d diary) enough(t *testing.T) {
	calls, points := 0, len(d.points)
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
		var at place
		if err := json.Unmarshal([]byte(os.Getenv(placeEnv)), &at); err != nil {
			return err
		}
		var seen atomic.Int64
		var during atomic.Value
		during.Store("")
		out := json.NewEncoder(os.Stdout) // each line is one write
		point := func(name string) {
			call := during.Load().(string)
			here := at.N > 0 && call == at.During && name == at.Point && seen.Add(1) == int64(at.N)
			if at.N > 0 && !here {
				return
			}
			err := json.NewEncoder(os.Stdout).Encode(note{Op: opPoint, Name: name, Value: call})
			if !here {
				return
			}
			if err == nil {
				_ = suicide()
			}
			select {} // until the signal is here
		}
		q, err := open(location, pipeline.QueueOptions{Create: true, Lease: Lease, Owner: "victim"}, point)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		return (&script{q: q, out: out, during: &during}).run()
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
