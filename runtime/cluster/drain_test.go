package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"math/bits"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// TestDrain: a process that claims no more gives up the lanes of which nothing is in
// hand within two renewals, and the last one with its item. Who joins then shares with
// the others only.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, err := join(t, s, "a")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := join(t, s, "b")
		watch(t, []*proc{a, b}, 4*interval)
		fair(t, []*proc{a, b})
		held := bits.TrailingZeros64(uint64(a.m.Lanes()))
		it := item{a.m.Session(), held}
		a.mu.Lock()
		a.hand[it]++
		a.mu.Unlock()

		a.m.Drain()
		watch(t, []*proc{a, b}, 2*interval)
		if n := a.m.Lanes(); n != 0 {
			t.Errorf("it drains and claims from %016x", n)
		}
		if got, want := b.m.Lanes(), pipeline.AllLanes&^(1<<held); got != want {
			t.Errorf("the other one claims from %016x, want %016x", got, want)
		}
		if w := workers(t, s, "q")["a"]; !w.Draining {
			t.Errorf("the registry says %+v", w)
		}
		c, _ := join(t, s, "c")
		watch(t, []*proc{a, b, c}, 4*interval)
		if n := bits.OnesCount64(uint64(c.m.Lanes())); n < 31 {
			t.Errorf("one of two that claim has %d lanes", n)
		}
		a.mu.Lock()
		a.hand[it]--
		a.mu.Unlock()
		watch(t, []*proc{a, b, c}, 3*interval)
		fair(t, []*proc{b, c})
		for _, p := range []*proc{a, b, c} {
			p.leave()
		}
	})
}

// TestAbandon: a call does not return, and its process gives it up. Nobody gets its
// permit before the session has ended in the store.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, err := join(t, s, "a")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := join(t, s, "b")
		one := cluster.Limit{Concurrency: 1}
		pass, err := a.m.Limiter("stage", one).Enter(t.Context(), cluster.Entry{})
		if err != nil {
			t.Fatal(err)
		}
		a.die()
		a.keeper.Wait()
		began := time.Now()
		a.m.Abandon()
		next, err := b.m.Limiter("stage", one).Enter(t.Context(), cluster.Entry{})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < interval || waited > 4*interval {
			t.Errorf("another call began after %v", waited)
		}
		if cause := context.Cause(pass.Ctx); !errors.Is(cause, cluster.ErrPermitLost) {
			t.Errorf("the call that was given up was told %v", cause)
		}
		pass.Leave()
		next.Leave()
		b.leave()
	})
}

// hung are records whose writes of permits never return.
type hung struct {
	*cluster.Memory
	until <-chan struct{}
}

func (h hung) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if strings.HasSuffix(name, "/permits") {
		<-h.until
	}
	return h.Memory.WriteRecord(ctx, name, value, rev, ttl)
}

// TestLeaveIsBounded: a store that does not answer, and does not heed contexts, keeps
// nobody from leaving.
func TestLeaveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		a, err := join(t, hung{new(cluster.Memory), until}, "a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.m.Limiter("stage", cluster.Limit{Concurrency: 1}).Enter(t.Context(), cluster.Entry{Patience: time.Second})
		if !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("entered: %v", err)
		}
		a.die()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		if err := a.m.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("left after %v with %v", time.Since(began), err)
		}
		close(until)
	})
}

// TestMemoryForgets: rates of many keys, one after the other, are not kept for ever,
// neither as records nor by the limiter; and names are found by their beginning.
func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(cluster.Memory)
		a, err := join(t, m, "a")
		if err != nil {
			t.Fatal(err)
		}
		l := a.m.Limiter("stage", cluster.Limit{Rate: pipeline.Rate{Count: 10, Per: time.Second}})
		for i := range 5000 {
			pass, err := l.Enter(t.Context(), cluster.Entry{Key: string(rune('a' + i))})
			if err != nil {
				t.Fatal(err)
			}
			pass.Leave()
			time.Sleep(10 * time.Millisecond)
		}
		if n := m.Size(); n > 2500 {
			t.Errorf("%d records of 5,000 keys, each of which was in use for two seconds", n)
		}
		if n := l.Pacers(); n > 2500 {
			t.Errorf("%d keys are remembered", n)
		}
		for _, name := range []string{"x/b", "x/a/1", "x/a", "y"} {
			if _, err := m.WriteRecord(t.Context(), name, nil, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		found, _, err := m.Records(t.Context(), "x/a")
		if err != nil || len(found) != 2 || found[0].Name != "x/a" || found[1].Name != "x/a/1" {
			t.Errorf("found %v, error %v", found, err)
		}
		a.leave()
	})
}

// TestComplaints: two troubles that take turns are logged once each.
func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		a, err := join(t, new(cluster.Memory), "a", func(o *cluster.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			a.m.Complain("lanes", errNetwork)
			a.m.Complain("permits", errNetwork)
		}
		if n := strings.Count(log.String(), "level="); n != 2 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		a.leave()
	})
}
