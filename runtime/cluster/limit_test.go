package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// inside are the calls that go on.
type inside struct {
	mu     sync.Mutex
	passes map[*cluster.Pass]bool
	served map[string]int // by run
	busy   time.Duration
}

// use goes in and out until ctx ends.
func (in *inside) use(ctx context.Context, l *cluster.Limiter, run string, rng *rand.Rand, patience time.Duration) {
	for ctx.Err() == nil {
		pass, err := l.Enter(ctx, cluster.Entry{Patience: patience})
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		in.mu.Lock()
		in.passes[pass] = true
		in.served[run]++
		in.mu.Unlock()
		began := time.Now()
		select {
		case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
		case <-pass.Ctx.Done():
		}
		in.mu.Lock()
		delete(in.passes, pass)
		in.busy += time.Since(began)
		in.mu.Unlock()
		pass.Leave()
		time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
		if rng.IntN(12) == 0 {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		}
	}
}

// watch checks that no more than n are inside while time goes by.
func (in *inside) watch(t *testing.T, n int, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		in.mu.Lock()
		live := 0
		for pass := range in.passes {
			if pass.Ctx.Err() == nil {
				live++
			}
		}
		in.mu.Unlock()
		if live > n {
			t.Fatalf("%d calls go on at a time, and the limit is %d", live, n)
		}
	}
}

// TestPermits: processes on a bad network, some of which die, never have more
// calls going on than the limit; on a good one each gets its share and the permits
// are in use.
func TestPermits(t *testing.T) {
	for seed := range uint64(seeds(t, 1)) {
		for i, c := range []struct{ n, procs int }{{1, 3}, {3, 2}, {9, 4}} {
			t.Run(fmt.Sprintf("%d permits, %d processes, %d", c.n, c.procs, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { contend(t, seed*10+uint64(i), c.n, c.procs) })
			})
		}
	}
}

func contend(t *testing.T, seed uint64, n, procs int) {
	s := newStore(t, seed)
	s.set(.05, 2*interval, false)
	rng := rand.New(rand.NewPCG(seed, 3))
	in := &inside{passes: map[*cluster.Pass]bool{}, served: map[string]int{}}
	var all, live []*proc
	start := func() {
		run := fmt.Sprintf("run-%02d", len(all))
		p, err := join(t, s, run, func(o *cluster.Options) { o.Worker.Leased = false })
		if err != nil {
			return
		}
		l := p.m.Limiter("stage", cluster.Limit{Concurrency: n})
		for i := range 4 {
			patience := time.Duration(0)
			if i%3 == 0 {
				patience = 50 * time.Millisecond
			}
			r := rand.New(rand.NewPCG(seed, uint64(len(all)*10+i)))
			p.wg.Go(func() { in.use(p.claims, l, run, r, patience) })
		}
		all, live = append(all, p), append(live, p)
	}
	for range 10 {
		if len(live) < procs {
			start()
		} else if rng.IntN(3) == 0 {
			live[0].die()
			live = live[1:]
		}
		in.watch(t, n, time.Duration(rng.IntN(5000))*time.Millisecond)
	}
	for len(live) < procs {
		start()
	}
	s.set(0, 0, false)
	in.watch(t, n, 6*interval)
	in.mu.Lock()
	in.served, in.busy = map[string]int{}, 0
	in.mu.Unlock()
	const span = 15 * time.Second
	in.watch(t, n, span)
	in.mu.Lock()
	used := float64(in.busy) / float64(time.Duration(n)*span)
	if len(in.served) < len(live) {
		t.Errorf("only %d of %d processes were ever inside", len(in.served), len(live))
	}
	in.mu.Unlock()
	t.Logf("permits in use: %.2f", used)
	if used < .7 {
		t.Errorf("the permits were in use for only %.2f of the time", used)
	}
}

// TestPermitOfTheDead: what a process held that was killed is free when its
// session has ended, and not before.
func TestPermitOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, _ := join(t, s, "a")
		b, _ := join(t, s, "b")
		limit := cluster.Limit{Concurrency: 1}
		if _, err := a.m.Limiter("stage", limit).Enter(t.Context(), cluster.Entry{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		lb := b.m.Limiter("stage", limit)
		if _, err := lb.Enter(t.Context(), cluster.Entry{Key: "k", Patience: 5 * time.Second}); !errors.Is(err, cluster.ErrBusy) {
			t.Fatalf("entered beside another: %v", err)
		}
		other, err := lb.Enter(t.Context(), cluster.Entry{Key: "other"})
		if err != nil {
			t.Fatal(err)
		}
		other.Leave()
		a.die()
		pass, err := lb.Enter(t.Context(), cluster.Entry{Key: "k", Patience: 6 * interval})
		if err != nil {
			t.Fatal("the permit of a dead process was not freed")
		}
		pass.Leave()
		if _, calls, total := lb.Waiting(); calls < 2 || total < 5*time.Second {
			t.Errorf("%d waits of %v altogether were counted", calls, total)
		}
		b.leave()
	})
}

// TestWaiterThatGaveUp: what it wanted is forgotten, though it lives on and never
// asks again: the others go in as if it had not been there.
func TestWaiterThatGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, _ := join(t, s, "a")
		b, _ := join(t, s, "b")
		limit := cluster.Limit{Concurrency: 1}
		la, lb := a.m.Limiter("stage", limit), b.m.Limiter("stage", limit)
		pass, err := la.Enter(t.Context(), cluster.Entry{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lb.Enter(t.Context(), cluster.Entry{Key: "k", Patience: time.Second}); !errors.Is(err, cluster.ErrBusy) {
			t.Fatalf("entered beside another: %v", err)
		}
		time.Sleep(2 * time.Second)
		for i := range 3 {
			pass.Leave()
			time.Sleep(time.Second)
			if pass, err = la.Enter(t.Context(), cluster.Entry{Key: "k", Patience: 2 * time.Second}); err != nil {
				t.Fatalf("entry %d: %v, and nobody else wants the permit", i, err)
			}
		}
		pass.Leave()
		a.leave()
		b.leave()
	})
}

// TestPermitLost: a process that cannot renew its session loses its permits, and
// the calls that go on with them are told.
func TestPermitLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, _ := join(t, s, "a")
		l := a.m.Limiter("stage", cluster.Limit{Concurrency: 2})
		pass, err := l.Enter(t.Context(), cluster.Entry{})
		if err != nil {
			t.Fatal(err)
		}
		s.set(0, 0, true)
		<-pass.Ctx.Done()
		if !errors.Is(context.Cause(pass.Ctx), cluster.ErrPermitLost) {
			t.Error(context.Cause(pass.Ctx))
		}
		pass.Leave()
		s.set(0, 0, false)
		again, err := l.Enter(t.Context(), cluster.Entry{})
		if err != nil {
			t.Fatal(err)
		}
		again.Leave()
		a.leave()
	})
}

// TestPermitsAreKept: under steady work a permit is not written to the store for
// each item.
func TestPermitsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, _ := join(t, s, "a", func(o *cluster.Options) { o.Worker.Leased = false })
		l := a.m.Limiter("stage", cluster.Limit{Concurrency: 1})
		s.spent()
		for range 1000 {
			pass, err := l.Enter(t.Context(), cluster.Entry{})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			pass.Leave()
		}
		if calls, writes := s.spent(); writes > 10 || calls > 100 {
			t.Errorf("1000 items in ten seconds cost %d calls, %d of them writes", calls, writes)
		}
		a.leave()
	})
}

// TestRate: however many processes, and however bad the network, no window of
// time has more calls than the rate and a chunk; on a good network nearly as many.
func TestRate(t *testing.T) {
	for _, c := range []struct {
		rate   pipeline.Rate
		bad    float64
		writes float64 // per second, at most
		rests  bool    // every other second has no work
	}{
		{pipeline.Rate{Count: 50, Per: time.Second}, 0, 60, false},
		{pipeline.Rate{Count: 1000, Per: time.Second}, 0, 60, false},
		{pipeline.Rate{Count: 20, Per: time.Minute}, 0, 5, false},
		{pipeline.Rate{Count: 200, Per: time.Second}, .1, 60, false},
		{pipeline.Rate{Count: 1000, Per: time.Second}, 0, 60, true},
	} {
		t.Run(fmt.Sprint(c.rate, " ", c.bad, " ", c.rests), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { race(t, c.rate, c.bad, c.writes, c.rests) })
		})
	}
}

func race(t *testing.T, rate pipeline.Rate, bad, writes float64, rests bool) {
	s := newStore(t, 1)
	var procs []*proc
	for i := range 4 {
		p, err := join(t, s, fmt.Sprint("run-", i), func(o *cluster.Options) { o.Worker.Leased = false })
		if err != nil {
			t.Fatal(err)
		}
		procs = append(procs, p)
	}
	s.set(bad, interval, false)
	s.spent()
	span := max(8*time.Second, 10*rate.Every())
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var mu sync.Mutex
	var began []time.Time
	for _, p := range procs {
		l := p.m.Limiter("stage", cluster.Limit{Rate: rate})
		for range 32 {
			p.wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := l.Enter(ctx, cluster.Entry{}); err == nil {
						mu.Lock()
						began = append(began, time.Now())
						mu.Unlock()
					}
					if rest := time.Duration(time.Now().UnixNano()) % (2 * time.Second); rests && rest > time.Second {
						time.Sleep(2*time.Second - rest)
					}
				}
			})
		}
	}
	for _, p := range procs {
		p.wg.Wait()
	}
	slices.SortFunc(began, time.Time.Compare)
	window := max(time.Second, 3*rate.Every())
	most := int((window+100*time.Millisecond)/rate.Every()) + 2
	for i, j := 0, 0; j < len(began); j++ {
		for began[j].Sub(began[i]) > window {
			i++
		}
		if n := j - i + 1; n > most {
			t.Fatalf("%d calls began within %v; at most %d may", n, window, most)
		}
	}
	want := int(span / rate.Every())
	_, written := s.spent()
	perSecond := float64(written) / span.Seconds()
	t.Logf("%d calls of %d, %.1f writes a second", len(began), want, perSecond)
	if bad == 0 && !rests && len(began) < want*8/10 {
		t.Errorf("only %d calls of %d", len(began), want)
	}
	if perSecond > writes {
		t.Errorf("%.1f writes a second", perSecond)
	}
	for _, p := range procs {
		p.leave()
	}
	time.Sleep(10 * interval)
}
