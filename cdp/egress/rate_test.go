package egress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRateOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Rate{Requests: 2, Per: time.Second})
		start := time.Now()
		for range 5 {
			if err := l.wait(t.Context(), "a.example"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("five requests at two a second took %v", took)
		}
		var given sync.WaitGroup
		for range 100 {
			given.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := l.wait(ctx, "a.example"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a wait that was given up: %v", err)
				}
			})
		}
		given.Wait()
		if err := l.wait(t.Context(), "a.example"); err != nil || time.Since(start) != 2500*time.Millisecond {
			t.Errorf("requests that were given up keep their places: %v, %v", time.Since(start), err)
		}
		if err := l.wait(t.Context(), "b.example"); err != nil || time.Since(start) != 2500*time.Millisecond {
			t.Error("another host had to wait")
		}
		for i := range 2 * maxHosts {
			if err := l.wait(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(l.every)
		}
		if len(l.hosts) > maxHosts {
			t.Errorf("%d hosts are remembered", len(l.hosts))
		}
	})
	if newLimiter(Rate{}) != nil {
		t.Error("no rate is a limit")
	}
}

// The proxy makes requests wait, and gives up with the browser.
func TestRequestsWait(t *testing.T) {
	var asked atomic.Int32
	o := serveOrigin(t, false, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	l, c := open(t, Policy{Private: true, PerHost: Rate{Requests: 1, Per: time.Hour}})
	if _, err := get(c, o.URL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("a second request was answered within the hour")
	}
	if n := asked.Load(); n != 1 || len(l.Report().Failures) > 0 {
		t.Errorf("%d requests, failures %v", n, l.Report().Failures)
	}
}
