package chaostest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// size is that of a round.
type size struct {
	items, keys int // items: at most, as many as get into the storm
	waiting     int64
	lease       time.Duration
	pace        time.Duration // of the ledger
	storm       time.Duration // things break no longer than that
}

// Ten queues' worth of keys is ten for each lane that a queue has.
var (
	short = size{items: 1300, keys: 10 * pipeline.QueueLanes / 10, waiting: 100, lease: 2 * time.Second, pace: 100 * time.Millisecond, storm: 20 * time.Second}
	long  = size{items: 20_000, keys: 10 * pipeline.QueueLanes, waiting: 500, lease: 2 * time.Second, pace: 20 * time.Millisecond}
)

// soakVariable says how long rounds of the long kind are to go on.
const soakVariable = "WAYBILL_CHAOS"

func TestChaos(t *testing.T) {
	for name, start := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := *seedFlag
			if seed == 0 {
				seed = rand.Uint64()
			}
			rounds(t, start, seed)
		})
	}
}

// rounds goes on for as long as it is told to; one short round if it is not.
func rounds(t *testing.T, start func(*testing.T, time.Duration) *engine, seed uint64) {
	text := os.Getenv(soakVariable)
	if text == "" {
		round(t, start(t, short.lease), short, seed)
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	e, z := start(t, long.lease), long
	for began := time.Now(); time.Since(began) < d && !t.Failed(); seed++ {
		z.storm = d - time.Since(began)
		t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) { round(t, e, z, seed) })
	}
}

// scene is one round: a queue from its first item to its last, and all who have
// to do with it.
type scene struct {
	size
	seed     uint64
	producer *producer
	filled   pipeline.Queue // as the producer sees it
	sampler  *sampler
	ledger   *ledger
	crew     *crew
	nemesis  *nemesis

	stormy, calm time.Duration // how long it took
}

func round(t *testing.T, e *engine, z size, seed uint64) {
	t.Logf("repeat with: go test ./internal/chaostest -run '%s' -chaos.seed %d", strings.Split(t.Name(), "/seed-")[0], seed)
	s := newScene(t, e, z, seed)
	if err := s.play(t.Context(), e.every); err != nil {
		t.Error(err)
	}
	s.crew.dismiss()
	s.report(t)
	s.judge(t)
	if t.Failed() {
		t.Logf("faults in their order:\n%s", strings.Join(s.nemesis.log, "\n"))
	}
}

// newScene sets the processes to work on an empty queue.
func newScene(t *testing.T, e *engine, z size, seed uint64) *scene {
	t.Helper()
	name := fmt.Sprint("chaos-", seed)
	options := pipeline.QueueOptions{Queue: name, Owner: "tests", Lease: z.lease, Create: true}
	s := &scene{size: z, seed: seed, ledger: newLedger(t, z.pace), crew: newCrew(t, t.TempDir())}
	s.producer = &producer{items: plan(dice(seed, 0), time.Now(), z.items, z.keys)}
	s.sampler = &sampler{queue: open(t, e.direct, options), producer: s.producer}
	mine := e.newWay()
	ways := []way{mine}
	s.filled = open(t, mine.url, options)
	for i := range 4 {
		w := e.newWay()
		ways = append(ways, w)
		s.crew.hire(&slot{number: i}, fmt.Sprintf(pipelineOf, 4, w.url, name, z.lease, s.ledger.URL))
	}
	s.nemesis = &nemesis{crew: s.crew, faults: append(slices.Clone(e.faults), freeze(s.crew, z.lease))}
	if len(mine.proxies) > 0 {
		s.nemesis.faults = append(s.nemesis.faults, network(ways, z.lease)...)
	}
	return s
}

// play fills the queue in a storm, and then waits in the calm until it is done.
func (s *scene) play(ctx context.Context, every time.Duration) error {
	began := time.Now()
	sampling, stopSampling := context.WithCancel(ctx)
	chaos, calm := context.WithTimeout(ctx, s.storm)
	var sampler, storm sync.WaitGroup
	sampler.Go(func() { s.sampler.run(sampling, every) })
	storm.Go(func() {
		s.nemesis.run(chaos, s.seed)
		s.stormy = time.Since(began)
	})
	err := s.producer.run(ctx, chaos, s.filled, s.waiting, s.sampler.ended)
	calm()
	storm.Wait()
	if err == nil {
		err = s.sampler.drained(ctx, s.producer.confirmed.Load())
	}
	stopSampling()
	sampler.Wait()
	s.calm = time.Since(began) - s.stormy
	return err
}

func (s *scene) report(t *testing.T) {
	at, n := s.sampler, s.nemesis
	t.Logf("%d items, %d executions, %d done, %d dead; %d kills and faults %v in %v, then %v; %d samples (%d missed), %d enqueues repeated; lost leases noticed: %d; exits %v",
		s.producer.confirmed.Load(), len(s.ledger.executions), at.last.Done, at.last.Dead, n.kills, n.did, s.stormy.Round(time.Second), s.calm.Round(time.Second),
		at.samples, at.missed, s.producer.again, s.crew.said("lease lost"), s.crew.exits)
}

// drained waits until all items have ended. It gives up when nothing has for a
// minute.
func (s *sampler) drained(ctx context.Context, n int64) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for before, since := int64(-1), time.Now(); before < n; {
		if now := s.ended(); now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > time.Minute {
			return fmt.Errorf("lost: nothing has ended for a minute, with nobody in the way: %+v", s.last)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// judge reports all violations of the rules.
func (s *scene) judge(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	q := s.sampler.queue
	entries, err := patient(ctx, func() ([]pipeline.Entry, error) { return q.List(ctx, pipeline.Filter{Limit: math.MaxInt32}) })
	if err != nil {
		t.Fatal(err)
	}
	ev := evidence{items: s.producer.items[:s.producer.confirmed.Load()], executions: s.ledger.byItem()}
	for _, e := range entries {
		if troubled(e, ev.executions[e.ID]) {
			if e, err = patient(ctx, func() (pipeline.Entry, error) { return q.Show(ctx, e.ID) }); err != nil {
				t.Fatal(err)
			}
		}
		ev.entries = append(ev.entries, e)
	}
	wrong := slices.Concat(s.sampler.wrong, s.crew.crashed(), s.ledger.malformed, ev.check())
	seen := map[string]int{} // by rule, so that none hides another
	for _, w := range wrong {
		rule, _, _ := strings.Cut(w, ":")
		if seen[rule]++; seen[rule] <= 5 {
			t.Error(w)
		}
	}
	if len(seen) > 0 {
		t.Logf("violations by rule: %v", seen)
	}
}

// patient repeats what the engine did not answer to.
func patient[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	for range 100 {
		if answer, err = ask(); pipeline.KindOf(err) != pipeline.Unavailable || !wait(ctx, 50*time.Millisecond) {
			break
		}
	}
	return answer, err
}
