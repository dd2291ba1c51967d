package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// How a process shares permits with the others.
const (
	// linger is how long it keeps a permit that nobody here needs: the next item
	// mostly comes soon, and then costs no write.
	linger = 100 * time.Millisecond
	// permitTurn is how long it uses a permit again and again while others wait
	// for one, where there are not enough for all.
	permitTurn = time.Second
	// permitLook is how often it looks whether others want some.
	permitLook = 500 * time.Millisecond
	// permitTTL ends the table of a key that is not used any more.
	permitTTL = 10 * time.Minute
	// permitPoll is how long at most it waits between two looks for a free one.
	permitPoll = 100 * time.Millisecond
)

// permitTable says which session holds how many permits, in the order of their
// turns.
type permitTable struct {
	Sessions []permitHolder `json:"sessions"`
}

type permitHolder struct {
	ID   string `json:"id"`
	Held int    `json:"held,omitempty"`
	// Want says that it needs more than it holds.
	Want bool `json:"want,omitempty"`
}

// units are the permits that one session holds. Those of a session that is over
// are void.
type units struct {
	s    *session
	busy int
	// held is how many it has for certain: at most what the table says.
	held int
	// cap is how many of them it may go on using.
	cap int
	// since is when the present turn began.
	since time.Time
	idle  time.Time // since when some have been idle; zero if none is
}

// pool is this process's permits for one key of a limiter. The limiter's mutex
// guards it.
type pool struct {
	l       *Limiter
	key     string
	name    string // of the record
	u       *units
	waiters []chan *units
	running bool // a keeper is at work
	// listed says that the table may have a line of this session.
	listed bool
	kick   chan struct{}
	tries  int       // looks in vain
	looked time.Time // when the table was last read
}

// pool returns the pool of a key; the caller holds the mutex.
func (l *Limiter) pool(key string) *pool {
	p := l.pools[key]
	if p == nil {
		w := &l.m.o.Worker
		p = &pool{l: l, key: key, name: limitName(w.Queue, w.Pipeline, l.stage, key, "permits"), kick: make(chan struct{}, 1)}
		l.pools[key] = p
	}
	return p
}

// acquire gets a permit: one that the process holds already, or one from the
// table.
func (l *Limiter) acquire(ctx context.Context, e Entry, watch *stopwatch) (*pool, *units, error) {
	l.mu.Lock()
	p := l.pool(e.Key)
	if u := p.u; u != nil && !u.s.over() && len(p.waiters) == 0 && u.busy < min(u.held, u.cap) {
		u.take()
		l.mu.Unlock()
		return p, u, nil
	}
	if e.Patience > 0 && len(p.waiters) >= l.limit.Concurrency {
		l.mu.Unlock()
		return nil, nil, ErrBusy // enough wait already
	}
	w := make(chan *units, 1)
	if p.waiters = append(p.waiters, w); len(p.waiters) == 1 {
		p.work() // else it is at it
	}
	l.mu.Unlock()
	watch.start()
	u, err := p.await(ctx, w)
	return p, u, err
}

// await waits for a permit.
func (p *pool) await(ctx context.Context, w chan *units) (*units, error) {
	select {
	case u := <-w:
		return u, nil
	case <-ctx.Done():
	}
	p.l.mu.Lock()
	p.waiters = slices.DeleteFunc(p.waiters, func(c chan *units) bool { return c == w })
	p.l.mu.Unlock()
	select {
	case u := <-w: // given in the same moment
		p.release(u)
	default:
	}
	return nil, context.Cause(ctx)
}

// take uses one more; the caller holds the mutex and knows that there is one.
func (u *units) take() {
	if u.busy++; u.busy == u.held {
		u.idle = time.Time{}
	}
}

// release ends the use of a permit. The next of those who wait here gets it,
// unless others want it more.
func (p *pool) release(u *units) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	u.busy--
	if u != p.u || u.s.over() {
		return
	}
	p.serve()
	if u.busy < u.held && u.idle.IsZero() {
		u.idle = time.Now()
		p.work()
	}
}

// serve gives what is held to those who wait; the caller holds the mutex.
func (p *pool) serve() {
	u := p.u
	for len(p.waiters) > 0 && u.busy < min(u.held, u.cap) {
		u.take()
		p.tries = 0
		p.waiters[0] <- u
		p.waiters = p.waiters[1:]
	}
}

// work makes the keeper look at the table soon; the caller holds the mutex.
func (p *pool) work() {
	if !p.running {
		p.running = true
		p.l.m.keepers.Go(p.keep)
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// keep brings the table up to date until the process neither holds nor wants
// anything of it.
func (p *pool) keep() {
	for {
		wait, more := p.update()
		if !more {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-p.kick:
		case <-t.C:
		case <-p.l.m.ctx.Done():
			t.Stop()
			return // whoever waits still has a context of its own
		}
		t.Stop()
	}
}

// update writes to the table what this process needs and may have, and returns
// when to look again. It reports whether there is anything to look after.
func (p *pool) update() (wait time.Duration, more bool) {
	m := p.l.m
	s := m.current()
	p.l.mu.Lock()
	if p.u == nil || p.u.s != s {
		p.u, p.listed = &units{s: s, cap: p.l.limit.Concurrency}, false
	}
	// A line that is left behind, by somebody who gave up waiting, would keep
	// the others from what it wants.
	if len(p.waiters) == 0 && (s.over() || p.u.held == 0 && !p.listed) {
		p.running = false
		if p.u.busy == 0 {
			delete(p.l.pools, p.key)
		}
		p.l.mu.Unlock()
		return 0, false
	}
	p.l.mu.Unlock()
	if s.over() {
		return permitPoll, true // until there is another
	}
	if rest := p.rest(); rest > 0 {
		return rest, true
	}
	ctx, stop := context.WithTimeout(s.ctx, m.o.Interval)
	defer stop()
	err := p.exchange(ctx)
	if err != nil && !errors.Is(err, pipeline.ErrConflict) {
		m.complain(ctx, "the permits of a limit could not be shared", err)
	}
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.serve()
	return p.next(err), true
}

// rest returns how long there is nothing to look for in the table.
func (p *pool) rest() time.Duration {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	u := p.u
	if len(p.waiters) > 0 || u.cap < u.held || u.held == 0 {
		return 0
	}
	rest := permitLook - time.Since(p.looked)
	if !u.idle.IsZero() {
		rest = min(rest, linger-time.Since(u.idle))
	}
	return rest
}

// next is when to look at the table again; the caller holds the mutex.
func (p *pool) next(err error) time.Duration {
	u := p.u
	switch {
	case errors.Is(err, pipeline.ErrConflict):
		return rand.N(5 * time.Millisecond)
	case err != nil:
		return permitPoll
	case len(p.waiters) > 0 && u.busy >= min(u.held, u.cap):
		p.tries++
		return rand.N(min(permitPoll, time.Millisecond<<min(p.tries, 10))) + time.Millisecond
	case u.busy < u.held:
		return linger
	}
	return permitLook
}

// exchange reads the table and writes what this session is to hold.
func (p *pool) exchange(ctx context.Context) error {
	rec, now, err := p.l.m.read(ctx, p.name)
	if err != nil {
		return err
	}
	p.looked = time.Now()
	var t permitTable
	if rec.Revision != 0 {
		if err := json.Unmarshal(rec.Value, &t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	changed, err := p.bury(ctx, &t)
	if err != nil {
		return err
	}
	held, more := p.decide(&t)
	aged := rec.Revision != 0 && rec.Until.Sub(now) < permitTTL/2
	listed := slices.ContainsFunc(t.Sessions, func(h permitHolder) bool { return h.ID == p.u.s.id })
	if !changed && !more && !aged {
		p.list(listed)
		return nil
	}
	if listed {
		p.list(true) // also if the write's answer is lost
	}
	if err := p.write(ctx, t, rec.Revision); err != nil {
		return err
	}
	p.list(listed)
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.u.held = held
	if p.u.busy == held {
		p.u.idle = time.Time{}
	}
	return nil
}

func (p *pool) list(listed bool) {
	p.l.mu.Lock()
	p.listed = listed
	p.l.mu.Unlock()
}

func (p *pool) write(ctx context.Context, t permitTable, rev int64) error {
	if len(t.Sessions) == 0 {
		return p.l.m.records.DeleteRecord(ctx, p.name, rev)
	}
	value, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = p.l.m.records.WriteRecord(ctx, p.name, value, rev, permitTTL)
	return err
}

// bury takes sessions out of the table that have ended.
func (p *pool) bury(ctx context.Context, t *permitTable) (found bool, err error) {
	m := p.l.m
	kept := t.Sessions[:0]
	for _, h := range t.Sessions {
		dead := false
		if h.ID != p.u.s.id && !m.peer(h.ID) {
			if dead, err = m.dead(ctx, h.ID); err != nil {
				return found, err
			}
			if !dead {
				m.met(h.ID)
			}
		}
		if dead {
			found = true
			continue
		}
		kept = append(kept, h)
	}
	t.Sessions = kept
	return found, nil
}

// decide changes this session's line of the table to what it needs and may have,
// and returns how many it is to hold and whether that is a change. What it is to
// give up it stops using at once.
func (p *pool) decide(t *permitTable) (held int, changed bool) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	u, n := p.u, p.l.limit.Concurrency
	need := min(n, u.busy+len(p.waiters))
	i := slices.IndexFunc(t.Sessions, func(h permitHolder) bool { return h.ID == u.s.id })
	before := permitHolder{ID: u.s.id}
	if i >= 0 {
		before = t.Sessions[i]
	}
	wanted, taken := false, 0
	for j, h := range t.Sessions {
		if taken += h.Held; j != i {
			wanted = wanted || h.Want
		}
	}
	if i < 0 || wanted && len(t.Sessions) > n && before.Held > 0 && time.Since(u.since) > permitTurn {
		// To the end of the row.
		if i >= 0 {
			t.Sessions = slices.Delete(t.Sessions, i, i+1)
			u.since = time.Now()
		}
		i = len(t.Sessions)
		t.Sessions = append(t.Sessions, before)
		changed = true
	}
	if u.cap = n; wanted {
		if u.cap = n / len(t.Sessions); i < n%len(t.Sessions) {
			u.cap++
		}
	} else if !u.idle.IsZero() && time.Since(u.idle) < linger {
		need = max(need, u.held)
	}
	held = max(u.busy, min(need, u.cap, before.Held+n-taken))
	if before.Held == 0 && held > 0 {
		u.since = time.Now()
	}
	after := permitHolder{ID: u.s.id, Held: held, Want: need > held}
	if t.Sessions[i] = after; held == 0 && !after.Want {
		t.Sessions = slices.Delete(t.Sessions, i, i+1)
		changed = changed && before != permitHolder{ID: u.s.id}
	}
	changed = changed || after != before || held != u.held
	u.held = min(u.held, held)
	return held, changed
}
