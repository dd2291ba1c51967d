package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// DefaultInterval is how often a session is renewed; it lasts three times as
// long. One write every three seconds and process is cheap for every store, and
// what a dead process held is free after ten seconds.
const DefaultInterval = 3 * time.Second

// hurry is how much more often a member looks at the lanes while they are not
// shared out.
const hurry = 6

// Options are what a member needs.
type Options struct {
	// Worker says who joins: queue, run, host, pid, pipeline, digest, version, and
	// whether it leases lanes.
	Worker Worker
	// Rollback makes an older version the one that runs.
	Rollback bool
	// Interval is how often the session is renewed; 0 means DefaultInterval.
	Interval time.Duration
	// Hand tells what the process has in hand; nil means nothing, ever.
	Hand func() Hand
	// Counters tells what the worker has done so far; nil means nothing.
	Counters func() Counters
	// Gained is called when lanes were gained, so that a claim may find more.
	Gained func()
	// Superseded is called, once, when another version of the pipeline runs.
	Superseded func(*SupersededError)
	// Log receives what no caller waits for; nil discards it.
	Log *slog.Logger
}

// Hand is what a process has in hand at one moment.
type Hand struct {
	// Lanes are those of the items that are claimed and have not ended.
	Lanes pipeline.LaneSet
	// Begun and Ended count the calls of Claim; what an ended one returned is in
	// Lanes.
	Begun, Ended uint64
}

// Member is one process among those on a queue. Make it with Join.
type Member struct {
	records pipeline.Records
	o       Options
	ctx     context.Context // ends when the process leaves
	leave   context.CancelCauseFunc
	keepers sync.WaitGroup // of permits
	kick    chan struct{}  // makes Keep look at once

	mu      sync.Mutex
	session *session
	peers   map[string]bool // sessions that were alive at the last look
	workers int             // how many of them
	over    bool            // superseded was called
	trouble map[string]bool // what was complained of since all went well
	drains  bool            // it claims no more
	lanes   lanes
}

// Join registers a process on a queue: its version, its session, its first lanes.
// A pipeline that is older than the registered one is refused with the code
// CodeOldVersion.
func Join(ctx context.Context, records pipeline.Records, o Options) (*Member, error) {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Member{records: records, o: o, peers: map[string]bool{}, trouble: map[string]bool{}, kick: make(chan struct{}, 1)}
	m.ctx, m.leave = context.WithCancelCause(context.Background())
	err := m.register(ctx)
	if err == nil {
		err = m.begin(ctx)
	}
	if err != nil {
		m.leave(err)
		return nil, err
	}
	m.step(ctx)
	return m, nil
}

// Keep renews the session, and shares the lanes out, until ctx ends.
func (m *Member) Keep(ctx context.Context) {
	wait := m.o.Interval / hurry
	for {
		t := time.NewTimer(wait - rand.N(wait/4+1))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-m.kick:
			t.Stop()
		case <-t.C:
		}
		wait = m.step(ctx)
	}
}

// Drain says that this process claims no more. What it holds of the lanes it gives up
// as soon as nothing of them is in hand, and the others share them out.
func (m *Member) Drain() {
	m.mu.Lock()
	m.drains = true
	m.mu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default: // it is about to look
	}
}

func (m *Member) draining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drains
}

// step does what is due and returns when to do so again.
func (m *Member) step(ctx context.Context) time.Duration {
	settled, what, err := m.steps(ctx)
	switch {
	case err != nil:
		m.complain(ctx, what, err)
	case settled:
		m.mu.Lock()
		clear(m.trouble)
		m.mu.Unlock()
		return m.current().dueIn(m.o.Interval)
	}
	return m.o.Interval / hurry
}

// steps renews the session, or begins another if it is over, and looks round.
func (m *Member) steps(ctx context.Context) (settled bool, what string, err error) {
	s := m.current()
	if s.over() {
		if err = errors.Join(m.forget(ctx, s), m.begin(ctx)); err != nil {
			return false, "no session on the queue", err
		}
		m.o.Log.Warn("the session on the queue ended before it could be renewed; another has begun")
		s = m.current()
	}
	if s.due(m.o.Interval) || s.drains != m.draining() {
		if err = m.renew(ctx, s); err != nil {
			return false, "the session on the queue could not be renewed", err
		}
		if err = m.watchVersion(ctx); err != nil {
			return false, "the pipeline's version could not be read", err
		}
	}
	settled, err = m.look(ctx, s)
	return settled, "the lanes of the queue could not be shared out", err
}

// look finds out who is there and shares the lanes out. It reports whether there
// is nothing more to do for now.
func (m *Member) look(ctx context.Context, s *session) (settled bool, err error) {
	ctx, stop := context.WithTimeout(ctx, m.o.Interval)
	defer stop()
	workers, _, err := Workers(ctx, m.records, m.o.Worker.Queue)
	if err != nil {
		return false, err
	}
	peers := make(map[string]bool, len(workers))
	for _, w := range workers {
		peers[w.Session] = true
	}
	m.mu.Lock()
	m.peers, m.workers = peers, len(workers)
	m.mu.Unlock()
	if !m.o.Worker.Leased {
		return true, nil
	}
	return m.share(ctx, s, workers)
}

// watchVersion tells the process, once, if another version runs.
func (m *Member) watchVersion(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, m.o.Interval)
	defer stop()
	err := m.superseded(ctx)
	var other *SupersededError
	if !errors.As(err, &other) {
		return err
	}
	m.mu.Lock()
	first := !m.over
	m.over = true
	m.mu.Unlock()
	if first && m.o.Superseded != nil {
		m.o.Superseded(other)
	}
	return nil
}

// complain logs what goes wrong while the process is to go on, each thing once until
// all goes well.
func (m *Member) complain(ctx context.Context, what string, err error) {
	m.mu.Lock()
	again := m.trouble[what]
	m.trouble[what] = true
	m.mu.Unlock()
	if ctx.Err() == nil && !again {
		m.o.Log.Warn(what, "error", err)
	}
}

// Leave ends the session: what it held is free at once. The process must have
// ended all its items. If ctx ends before the store has answered, the session ends by
// itself.
func (m *Member) Leave(ctx context.Context) error {
	m.Abandon()
	kept := make(chan struct{})
	go func() {
		m.keepers.Wait()
		close(kept)
	}()
	select {
	case <-kept:
		return m.forget(ctx, m.current())
	case <-ctx.Done():
		return fmt.Errorf("permits are still being written: %w", context.Cause(ctx))
	}
}

// Abandon ends the session here and not in the store: calls that do not return may go
// on, and what they hold is theirs until it ends there by itself.
func (m *Member) Abandon() { m.leave(errLeft) }

// Live returns how many workers were on the queue at the last look, this one
// among them.
func (m *Member) Live() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.workers
}

// peer reports whether a session was alive at the last look.
func (m *Member) peer(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[id]
}

// met notes a session that was found alive since.
func (m *Member) met(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers[id] = true
}

// read returns one record; Revision is 0 if there is none.
func (m *Member) read(ctx context.Context, name string) (pipeline.Record, time.Time, error) {
	found, now, err := m.records.Records(ctx, name)
	if err != nil {
		return pipeline.Record{}, now, err
	}
	for _, r := range found {
		if r.Name == name {
			return r, now, nil
		}
	}
	return pipeline.Record{Name: name}, now, nil
}
