package cdp_test

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// envSoak is how many sessions TestManySessionsLeaveNothing opens in one browser:
// 24 if it is not set, 2,000 in make soak.
const envSoak = "WAYBILL_BROWSER_SESSIONS"

// One browser has many sessions, some with popups, workers and scripts that hang.
// Neither pages nor goroutines are left, and memory stays flat.
func TestManySessionsLeaveNothing(t *testing.T) {
	n := 24
	if v, err := strconv.Atoi(os.Getenv(envSoak)); err == nil {
		n = v
	}
	url, _ := serve(t)
	o := cdptest.Options(t)
	o.MaxUses, o.MaxAge, o.NoSpare = 10*n, 1<<60, true // one process for all; a spare would count as a page
	p := cdptest.Pool(t, o)
	pid, began := 0, time.Now()
	measure := func(from, to int) (goroutines int, chrome int64, heap uint64) {
		for i := from; i < to; i++ {
			s, err := p.Acquire(t.Context()) // no cleanup, which would hold on to it
			if err != nil {
				t.Fatal(err)
			}
			if pid == 0 {
				pid = s.PID()
			}
			if s.PID() != pid {
				t.Fatal("the browser was replaced, so this proves nothing")
			}
			navigate(t, s, url+[]string{"/", "/popup", "/form", "/alert"}[i%4])
			if _, err := s.HTML(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			s.Close()
			p.Settle(t)
			if i%100 == 99 {
				t.Logf("session %d: Chrome %d MiB, %d goroutines, %v each", i+1, cdp.GroupMemory(pid)>>20, runtime.NumGoroutine(), time.Since(began)/100)
				began = time.Now()
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), cdp.GroupMemory(pid), m.HeapAlloc
	}
	goroutines, chrome, heap := measure(0, n/4)
	goroutines2, chrome2, heap2 := measure(n/4, n)
	t.Logf("%d sessions: goroutines %d -> %d, Chrome %d -> %d MiB, our heap %d -> %d KiB",
		n, goroutines, goroutines2, chrome>>20, chrome2>>20, heap>>10, heap2>>10)
	s := lease(t, p, cdp.Request{})
	eventually(t, "one page is left", func() bool {
		pages, err := s.AllTargets(t.Context())
		return err == nil && pages == 1
	})
	if n := s.Links(); n != 2 { // the browser's and the page's
		t.Errorf("%d sessions of the protocol are left", n)
	}
	if goroutines2 > goroutines+5 {
		t.Errorf("goroutines grew from %d to %d", goroutines, goroutines2)
	}
	// Chrome needs a while to reach its size; a leak of a page is 15 MiB each.
	if grown := chrome2 - chrome; grown > 100<<20 {
		t.Errorf("Chrome grew by %d MiB", grown>>20)
	}
	if heap2 > heap+8<<20 {
		t.Errorf("our heap grew from %d to %d KiB", heap>>10, heap2>>10)
	}
}
