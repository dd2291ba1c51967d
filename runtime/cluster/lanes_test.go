package cluster_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// TestLanes lets processes join, leave and die at random on a bad network. At no
// moment may two of them claim from a lane, or one claim from a lane of which
// another, whose session lives, has an item in hand. When the network is good
// again, all lanes are held within a bound, in fair shares.
func TestLanes(t *testing.T) {
	for seed := range uint64(seeds(t, 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { churn(t, seed) })
		})
	}
}

// seeds is how many random runs a test makes: so many, or WAYBILL_CLUSTER_SEEDS.
func seeds(t *testing.T, usual int) int {
	text := os.Getenv("WAYBILL_CLUSTER_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("WAYBILL_CLUSTER_SEEDS: %v", err)
	}
	return n
}

func churn(t *testing.T, seed uint64) {
	s := newStore(t, seed)
	s.set(.1, 4*interval, false)
	rng := rand.New(rand.NewPCG(seed, 2))
	var live, all []*proc
	n := 0
	start := func() {
		n++
		p, err := join(t, s, fmt.Sprintf("run-%02d", n))
		if err != nil {
			return // the network
		}
		worker := rand.New(rand.NewPCG(seed, uint64(n)+10))
		p.wg.Go(func() { p.work(worker) })
		live, all = append(live, p), append(all, p)
	}
	end := func(how func(*proc)) {
		i := rng.IntN(len(live))
		p := live[i]
		live = append(live[:i], live[i+1:]...)
		p.wg.Go(func() { how(p) })
	}
	for range 30 {
		switch {
		case len(live) < 2 || len(live) < 9 && rng.IntN(3) == 0:
			start()
		case rng.IntN(4) == 0:
			end((*proc).die)
		case rng.IntN(4) == 0:
			end(func(p *proc) { go p.leave() })
		case rng.IntN(5) == 0:
			s.set(.1, 4*interval, true)
			watch(t, all, time.Duration(rng.IntN(30))*time.Second)
			s.set(.1, 4*interval, false)
		}
		watch(t, all, time.Duration(rng.IntN(4000))*time.Millisecond)
	}
	s.set(0, 0, false)
	watch(t, all, 8*interval) // a session, and what was under way
	fair(t, live)
}

// watch checks the exclusion while time goes by.
func watch(t *testing.T, procs []*proc, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var claimed pipeline.LaneSet
		for i, p := range procs {
			lanes := p.m.Lanes()
			if both := claimed & lanes; both != 0 {
				t.Fatalf("lanes %x are claimed from by two processes", both)
			}
			claimed |= lanes
			hand := p.inHand()
			for j, q := range procs {
				if both := hand & q.m.Lanes(); j != i && both != 0 {
					t.Fatalf("lanes %x are claimed from while another process has items of them", both)
				}
			}
		}
	}
}

// fair checks that all lanes are held, each process holding its share.
func fair(t *testing.T, procs []*proc) {
	t.Helper()
	var all pipeline.LaneSet
	least, most := pipeline.QueueLanes, 0
	for _, p := range procs {
		lanes := p.m.Lanes()
		n := bits.OnesCount64(uint64(lanes))
		least, most, all = min(least, n), max(most, n), all|lanes
	}
	if all != pipeline.AllLanes || most-least > 1 {
		t.Errorf("%d processes hold the lanes %016x, from %d to %d each", len(procs), uint64(all), least, most)
	}
}

// TestLateWrite: a write that gave lanes up got no answer, and arrives after its
// process has found that it may keep them. Then it must not come into force.
func TestLateWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, err := join(t, s, "a")
		if err != nil {
			t.Fatal(err)
		}
		late := make(chan struct{})
		var held atomic.Bool
		s.hold = func(name string) <-chan struct{} {
			if name != "lanes/q/table" || held.Swap(true) {
				return nil
			}
			return late
		}
		b, err := join(t, &s.Memory, "b") // it finds no lane free
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * interval)
		if !held.Load() {
			t.Fatal("the process gave nothing up")
		}
		b.leave()
		time.Sleep(2 * interval)
		fair(t, []*proc{a})
		close(late)
		synctest.Wait()
		c, err := join(t, &s.Memory, "c")
		if err != nil {
			t.Fatal(err)
		}
		watch(t, []*proc{a, c}, 3*interval)
		fair(t, []*proc{a, c})
		a.leave()
		c.leave()
	})
}
