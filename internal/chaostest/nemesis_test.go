package chaostest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// fault is something that breaks. strike breaks it and returns what mends it; then
// nothing else breaks for a while.
type fault struct {
	name   string
	lasts  [2]time.Duration
	rest   time.Duration
	strike func(rng *rand.Rand) (heal func())
}

// noRest is for faults that the work recovers from at once.
const noRest = 200 * time.Millisecond

// nemesis kills a process every second, and has one fault at a time besides.
type nemesis struct {
	crew   *crew
	faults []fault

	mu    sync.Mutex
	kills int
	did   map[string]int
	log   []string
}

// run does so until ctx ends, and leaves everything mended. The same seed gives
// the same faults.
func (n *nemesis) run(ctx context.Context, seed uint64) {
	n.did = map[string]int{}
	var both sync.WaitGroup
	both.Go(func() { n.kill(ctx, dice(seed, 1)) })
	both.Go(func() { n.strike(ctx, dice(seed, 2)) })
	both.Wait()
}

func (n *nemesis) kill(ctx context.Context, rng *rand.Rand) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := n.crew.slots[rng.IntN(len(n.crew.slots))]
		s.signal(syscall.SIGKILL)
		n.note(func() { n.kills++ }, "kill -9 %d", s.number)
	}
}

func (n *nemesis) strike(ctx context.Context, rng *rand.Rand) {
	for began, rest := time.Now(), noRest; wait(ctx, between(rng, rest/2, 2*rest)); {
		f := n.faults[rng.IntN(len(n.faults))]
		d := between(rng, f.lasts[0], f.lasts[1])
		n.note(func() { n.did[f.name]++ }, "%v %s for %v", time.Since(began).Round(time.Millisecond), f.name, d.Round(time.Millisecond))
		heal := f.strike(rng)
		wait(ctx, d)
		heal()
		rest = f.rest
	}
}

func (n *nemesis) note(f func(), format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.log = append(n.log, fmt.Sprintf(format, args...))
}

// wait waits, and reports whether ctx is still good.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// freeze stops a process without ending it, longer than its leases last, so that
// it wakes up with tokens that are stale.
func freeze(c *crew, lease time.Duration) fault {
	return fault{"freeze a process", [2]time.Duration{lease / 2, 2 * lease}, noRest, func(rng *rand.Rand) func() {
		p := c.slots[rng.IntN(len(c.slots))].signal(syscall.SIGSTOP)
		return func() {
			if p != nil {
				_ = p.Signal(syscall.SIGCONT)
			}
		}
	}}
}

// network has the faults of the ways to the engine: one way at a time.
func network(ways []way, lease time.Duration) []fault {
	on := func(name string, most time.Duration, hit func(p *proxy, rng *rand.Rand)) fault {
		return fault{name, [2]time.Duration{100 * time.Millisecond, most}, noRest, func(rng *rand.Rand) func() {
			w := ways[rng.IntN(len(ways))]
			for _, p := range w.proxies {
				hit(p, rng)
			}
			return func() {
				for _, p := range w.proxies {
					p.heal()
				}
			}
		}}
	}
	return []fault{
		on("cut a connection", 2*lease, func(p *proxy, _ *rand.Rand) { p.cut() }),
		on("slow a connection down", 2*lease, func(p *proxy, rng *rand.Rand) { p.slow(between(rng, time.Millisecond, 200*time.Millisecond)) }),
		on("leave a connection half-open", 2*lease, func(p *proxy, _ *rand.Rand) { p.halfOpen() }),
	}
}

// dice are for one purpose of a round.
func dice(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }
