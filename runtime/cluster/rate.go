package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// paceChunk is how much of a rate one write reserves at most, and how late a slot
// may be used. So a limit costs ten writes a second or so, however high its rate
// and however many processes share it, and a burst is no larger than that.
const paceChunk = 100 * time.Millisecond

// paceAhead is how far ahead slots are reserved, if the rate is not slower.
const paceAhead = time.Second

// paceRecord is the state of a rate: the generic cell rate algorithm (ITU-T
// I.371) with its theoretical arrival time as the only variable. Slots are Every
// apart on the store's clock; nobody gets the same one twice.
type paceRecord struct {
	// Next is when the next call may begin, in ns since 1970.
	Next int64 `json:"next"`
}

// pacer is this process's slots of one rate. Its turn, with one place, says who
// reserves; the limiter's mutex guards the rest.
type pacer struct {
	name  string
	users int         // calls that wait
	slots []time.Time // reserved and not used, on this process's clock, in order
	turn  chan struct{}
	// chunk is how many to reserve next: twice as many as the last time, but one
	// after a slot was reserved for nothing.
	chunk int
}

// pace waits for the next slot of a key.
func (l *Limiter) pace(ctx context.Context, e Entry, watch *stopwatch) error {
	p, waiting := l.pacer(e.Key)
	defer l.unpace(p)
	if ahead := time.Duration(waiting) * l.limit.Rate.Every(); e.Patience > 0 && ahead > e.Patience {
		return &BusyError{ahead}
	}
	at, err := l.slot(ctx, p, watch)
	if err != nil {
		return err
	}
	switch wait := time.Until(at); {
	case wait <= 0:
		return nil
	case e.Patience > 0 && wait > e.Patience:
		l.put(p, at)
		return &BusyError{wait}
	}
	watch.start()
	if err := sleep(ctx, time.Until(at)); err != nil {
		l.put(p, at)
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pacer returns the pacer of a key, and how many wait there already.
func (l *Limiter) pacer(key string) (p *pacer, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p = l.pacers[key]; p == nil {
		w := &l.m.o.Worker
		p = &pacer{name: limitName(w.Queue, w.Pipeline, l.stage, key, "rate"), turn: make(chan struct{}, 1)}
		l.pacers[key] = p
	}
	p.users++
	return p, p.users - 1
}

// maxPacers is how many keys are remembered at least before those are looked for that
// nobody waits for and that have no slots; after that, twice as many as were left.
const maxPacers = 1024

func (l *Limiter) unpace(p *pacer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.users--
	if len(l.pacers) < l.sweepAt {
		return
	}
	maps.DeleteFunc(l.pacers, func(_ string, p *pacer) bool { return p.users == 0 && p.stale() })
	l.sweepAt = max(maxPacers, 2*len(l.pacers))
}

// stale reports that there is no slot left that may be used.
func (p *pacer) stale() bool {
	n := len(p.slots)
	return n == 0 || late(p.slots[n-1])
}

// late reports that a slot's time has passed too long ago.
func late(at time.Time) bool { return time.Since(at) > paceChunk }

// take returns a slot that was reserved.
func (l *Limiter) take(p *pacer) (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(p.slots) > 0 {
		at = p.slots[0]
		p.slots = p.slots[1:]
		if !late(at) {
			return at, true
		}
		p.chunk = 1
	}
	return at, false
}

// put gives a slot back for the next call.
func (l *Limiter) put(p *pacer, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.slots, at, time.Time.Compare)
	p.slots = slices.Insert(p.slots, i, at)
}

// slot takes the next slot, reserving more if there is none left.
func (l *Limiter) slot(ctx context.Context, p *pacer, watch *stopwatch) (time.Time, error) {
	if at, ok := l.take(p); ok {
		return at, nil
	}
	select {
	case p.turn <- struct{}{}:
	default:
		watch.start()
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
	defer func() { <-p.turn }()
	for {
		if at, ok := l.take(p); ok {
			return at, nil
		}
		wait, err := l.reserve(ctx, p)
		if errors.Is(err, pipeline.ErrConflict) {
			wait, err = rand.N(5*time.Millisecond), nil
		}
		if err != nil {
			return time.Time{}, err
		}
		if wait > 0 {
			watch.start()
			if err := sleep(ctx, wait); err != nil {
				return time.Time{}, err
			}
		}
	}
}

// reserve reserves a chunk of slots, or returns how long to wait because others
// have reserved all of the near future.
func (l *Limiter) reserve(ctx context.Context, p *pacer) (wait time.Duration, err error) {
	every := l.limit.Rate.Every()
	l.mu.Lock()
	n := max(1, p.chunk)
	l.mu.Unlock()
	call, stop := context.WithTimeout(ctx, l.m.ttl())
	defer stop()
	rec, now, err := l.m.read(call, p.name)
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	read := time.Now() // no earlier than now is on the store's clock
	next := now
	if rec.Revision != 0 {
		var state paceRecord
		if err := json.Unmarshal(rec.Value, &state); err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
		if at := time.Unix(0, state.Next); at.After(now) {
			next = at
		}
	}
	if ahead := next.Sub(now) - max(paceAhead, every); ahead > 0 {
		return ahead, nil
	}
	end := next.Add(time.Duration(n) * every)
	value, err := json.Marshal(paceRecord{Next: end.UnixNano()})
	if err != nil {
		return 0, err
	}
	if _, err = l.m.records.WriteRecord(call, p.name, value, rec.Revision, end.Sub(now)+time.Second); err != nil {
		return 0, unavailable(ctx, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.chunk = int(min(time.Duration(2*n), max(1, paceChunk/every)))
	for i := range n {
		p.slots = append(p.slots, read.Add(next.Sub(now)+time.Duration(i)*every))
	}
	return 0, nil
}

// unavailable says what a store's failure means for the item that waits, whose
// context may have ended meanwhile.
func unavailable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, pipeline.ErrConflict):
		return err
	}
	return &pipeline.Error{Kind: pipeline.Unavailable, Code: "limit-unreachable", Err: fmt.Errorf("the limit's record: %w", err)}
}
