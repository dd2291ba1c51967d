package bell_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/stages/claim/internal/bell"
)

// rung reports whether the bell is heard within a time, and after how long.
func rung(b *bell.Bell, within time.Duration) (after time.Duration, ok bool) {
	began := time.Now()
	select {
	case <-b.Wakes():
		return time.Since(began), true
	case <-time.After(within):
		return 0, false
	}
}

// TestAlone: who gets what it is woken for never waits.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bell.New(func() bool { t.Error("it was asked, without a wait"); return true })
		for range 20 {
			b.Ring()
			if after, ok := rung(b, time.Hour); !ok || after > 0 {
				t.Fatalf("heard: %v, after %v", ok, after)
			}
			b.Claimed(1)
		}
	})
}

// TestHerd: eight processes hear of each item, and the first that claims gets it. The
// claim takes a while, in which others may claim too, in vain.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const processes, items, claimTakes = 8, 400, 3 * time.Millisecond
		var left, vain, got atomic.Int64
		var waited time.Duration
		bells := make([]*bell.Bell, processes)
		for i := range bells {
			bells[i] = bell.New(func() bool { return left.Load() > 0 })
			go func() {
				for range bells[i].Wakes() {
					time.Sleep(claimTakes)
					if !left.CompareAndSwap(1, 0) {
						vain.Add(1)
						bells[i].Claimed(0)
						continue
					}
					got.Add(1)
					bells[i].Claimed(1)
				}
			}()
		}
		for range items {
			left.Store(1)
			began := time.Now()
			for _, b := range bells {
				b.Ring()
			}
			for left.Load() > 0 {
				time.Sleep(time.Millisecond / 4)
			}
			waited += time.Since(began)
			time.Sleep(time.Second)
		}
		for _, b := range bells {
			b.Close()
			close(bell.Channel(b))
		}
		each, wait := float64(vain.Load())/items, waited/items
		t.Logf("%.2f claims in vain for each item, each waited %v", each, wait)
		if got.Load() != items || each > 1 || wait > 25*time.Millisecond {
			t.Errorf("%d of %d items, %.2f claims in vain for each, want at most one; each waited %v", got.Load(), items, each, wait)
		}
	})
}

// TestNothingIsMissed: what comes while a wait is under way is covered by its end,
// and what comes after that rings anew.
func TestNothingIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var more atomic.Bool
		more.Store(true)
		b := bell.New(more.Load)
		for range 10 { // woken for nothing
			b.Ring()
			rung(b, time.Hour)
			b.Claimed(0)
		}
		b.Ring()
		b.Ring()
		if _, ok := rung(b, time.Hour); !ok {
			t.Error("two rings were not heard")
		}
		more.Store(false)
		b.Ring()
		if _, ok := rung(b, time.Hour); ok {
			t.Error("it woke for nothing")
		}
		more.Store(true)
		b.Ring()
		if _, ok := rung(b, time.Hour); !ok {
			t.Error("a ring after one in vain was not heard")
		}
		b.Now()
		if after, ok := rung(b, time.Hour); !ok || after > 0 {
			t.Errorf("heard: %v, after %v; want at once", ok, after)
		}
		b.Ring()
		b.Close()
		b.Ring()
		if _, ok := rung(b, time.Hour); ok {
			t.Error("a closed bell rings")
		}
	})
}
