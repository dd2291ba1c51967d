package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// store is records behind a bad network: calls are slow, fail, and come into
// force although they failed, also long afterwards. Its clock is not ours.
type store struct {
	cluster.Memory

	mu    sync.Mutex
	rng   *rand.Rand
	bad   float64       // share of calls that go wrong
	slow  time.Duration // the slowest of those
	down  bool
	stale float64 // share of readings that are old ones
	old   map[string]reading
	hold  func(name string) <-chan struct{} // a write whose answer is lost arrives when this is closed
	calls int
	write int
}

type reading struct {
	records []pipeline.Record
	at      time.Time
}

var errNetwork = errors.New("the network is bad")

func newStore(t testing.TB, seed uint64) *store {
	s := &store{rng: rand.New(rand.NewPCG(seed, 1))}
	t.Cleanup(func() { s.set(0, 0, false); time.Sleep(20 * interval) }) // what is still on its way arrives
	s.Clock = func() time.Time { return time.Now().Add(-7 * time.Hour) }
	return s
}

func (s *store) chance(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < p
}

func (s *store) delay(most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.Int64N(int64(most) + 1))
}

// set changes how bad the network is. On a bad one some readings are old.
func (s *store) set(bad float64, slow time.Duration, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad, s.slow, s.down, s.stale = bad, slow, down, 2*bad
}

// spent returns how many calls there were since the last time, and how many of
// them wrote.
func (s *store) spent() (calls, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls, writes = s.calls, s.write
	s.calls, s.write = 0, 0
	return calls, writes
}

func (s *store) count(write bool) (bad float64, slow time.Duration, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if write {
		s.write++
	}
	return s.bad, s.slow, s.down
}

// call makes one call as the network lets it.
func (s *store) call(ctx context.Context, write bool, do func(context.Context) error) error {
	bad, slow, down := s.count(write)
	if down {
		return errNetwork
	}
	if !s.chance(bad) {
		if err := wait(ctx, s.delay(5*time.Millisecond)); err != nil {
			return err
		}
		return do(ctx)
	}
	before, after := s.delay(slow), s.delay(slow)
	answer := make(chan error, 1)
	go func() { // whether or not anybody waits for the answer
		time.Sleep(before)
		err := do(context.Background())
		time.Sleep(after)
		answer <- err
	}()
	if s.chance(.3) {
		return errNetwork // and the call arrives after all
	}
	select {
	case err := <-answer:
		if s.chance(.3) {
			return errNetwork
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *store) Records(ctx context.Context, prefix string) ([]pipeline.Record, time.Time, error) {
	got := make(chan reading, 1)
	err := s.call(ctx, false, func(ctx context.Context) error {
		records, at, err := s.Memory.Records(ctx, prefix)
		got <- reading{records, at}
		return err
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	r := <-got
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := s.rng.Float64() < s.stale
	if old, ok := s.old[prefix]; ok && stale {
		return old.records, old.at, nil
	}
	if s.old == nil {
		s.old = map[string]reading{}
	}
	s.old[prefix] = r
	return r.records, r.at, nil
}

func (s *store) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if s.hold != nil {
		if arrives := s.hold(name); arrives != nil {
			go func() {
				<-arrives
				_, _ = s.Memory.WriteRecord(context.Background(), name, value, rev, ttl)
			}()
			return 0, errNetwork
		}
	}
	got := make(chan int64, 1)
	err := s.call(ctx, true, func(ctx context.Context) error {
		r, err := s.Memory.WriteRecord(ctx, name, value, rev, ttl)
		got <- r
		return err
	})
	if err != nil {
		return 0, err
	}
	return <-got, nil
}

func (s *store) DeleteRecord(ctx context.Context, name string, rev int64) error {
	return s.call(ctx, true, func(ctx context.Context) error { return s.Memory.DeleteRecord(ctx, name, rev) })
}

// proc is a process of the tests: it claims from its lanes and works for a while.
type proc struct {
	t testing.TB
	m *cluster.Member

	mu           sync.Mutex
	hand         map[item]int
	begun, ended uint64

	keep, claims       context.Context
	stopKeep, stopWork context.CancelFunc
	wg, keeper         sync.WaitGroup
}

// item is what its claim knew: an item of a session that is over is on its own,
// and only the claim's key rule keeps its order.
type item struct {
	session string
	lane    int
}

// inHand returns the lanes of what was claimed in the present session.
func (p *proc) inHand() (lanes pipeline.LaneSet) {
	session := p.m.Session()
	p.mu.Lock()
	defer p.mu.Unlock()
	for it, n := range p.hand {
		if n > 0 && it.session == session {
			lanes |= 1 << it.lane
		}
	}
	return lanes
}

func (p *proc) Hand() (h cluster.Hand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.Begun, h.Ended = p.begun, p.ended
	for it, n := range p.hand {
		if n > 0 {
			h.Lanes |= 1 << it.lane
		}
	}
	return h
}

// join starts a process.
func join(t testing.TB, s pipeline.Records, run string, change ...func(*cluster.Options)) (*proc, error) {
	p := &proc{t: t, hand: map[item]int{}}
	o := cluster.Options{Worker: cluster.Worker{Queue: "q", Run: run, Pipeline: "p", Leased: true}, Hand: p.Hand, Interval: interval}
	for _, c := range change {
		c(&o)
	}
	p.keep, p.stopKeep = context.WithCancel(context.Background())
	p.claims, p.stopWork = context.WithCancel(context.Background())
	var err error
	if p.m, err = cluster.Join(p.keep, s, o); err != nil {
		p.stopKeep()
		p.stopWork()
		return nil, err
	}
	p.keeper.Go(func() { p.m.Keep(p.keep) })
	t.Cleanup(func() { p.die(); p.wg.Wait(); p.keeper.Wait(); p.m.Leave(context.Background()) })
	return p, nil
}

const interval = 3 * time.Second

// work claims items of random lanes until the process stops claiming.
func (p *proc) work(rng *rand.Rand) {
	for p.claims.Err() == nil {
		p.mu.Lock()
		p.begun++
		p.mu.Unlock()
		session, lanes := p.m.Session(), p.m.Lanes() // the driver asks
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		if rng.IntN(10) == 0 {
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		it := item{session, rng.IntN(pipeline.QueueLanes)}
		p.mu.Lock()
		took := lanes.Has(it.lane)
		if took {
			p.hand[it]++
		}
		p.ended++
		p.mu.Unlock()
		if took {
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
			p.mu.Lock()
			p.hand[it]--
			p.mu.Unlock()
		}
	}
}

// leave drains and leaves the queue.
func (p *proc) leave() {
	p.stopWork()
	p.wg.Wait()
	p.stopKeep()
	p.keeper.Wait()
	_ = p.m.Leave(context.Background())
}

// die stops as kill -9 does.
func (p *proc) die() {
	p.stopWork()
	p.stopKeep()
}
