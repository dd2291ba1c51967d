package sched

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
)

// ErrForked is what a stage function returns when its item goes no further
// because it emitted children.
var ErrForked = errors.New("sched: the item goes on as its children")

// Flight is one item on its way: where it is, and what it holds. A flight
// belongs to one carrier at a time.
type Flight struct {
	Item *pipeline.Item
	// Ctx ends with the item's deadline, its lease and the drain.
	Ctx context.Context
	// At is the index of the stage that the flight is in or comes to next.
	At int
	// Turn is its place in the order, if there is one.
	Turn Turn
	// Err is a failure from before the first stage (no lane could be chosen).
	Err error
	// Own is whatever the engine keeps for the flight; it survives reuse.
	Own any

	// Untimed says that the clock is not worth reading for this flight: others
	// like it are over in a microsecond, and some of them are timed.
	Untimed bool
	// Waited says that the flight had to wait for its turn or for a permit.
	Waited bool

	// Lane, Key, Held and Carrier are the feed's.
	Lane    int
	Key     string
	Held    int
	Carrier int

	holds *Permit // while its stage runs
}

// Reset prepares a flight for another item.
func (f *Flight) Reset(it *pipeline.Item) {
	f.Item, f.Ctx, f.At, f.Err = it, nil, 0, nil
	if f.Turn.ring != nil {
		f.Turn = Turn{}
	}
	f.Untimed, f.Waited = false, false
	f.Lane, f.Key, f.Held, f.Carrier = 0, "", -1, -1
	f.holds = nil
}

// Stage is one stop of the line.
type Stage struct {
	// Run does the stage's work. ErrForked ends the walk. A panic becomes an
	// error of kind Bug.
	Run func(ctx context.Context, f *Flight) error
	// Skip reports that the stage is not for this item; nil means never.
	Skip func(f *Flight) (bool, error)
	// Permit limits the stage; nil means that carriers are the only limit.
	Permit *Permit
}

// Line is the stages in order.
type Line struct {
	Stages []Stage
	// First and Last are the first and the last stage that want the order of
	// the claims; what lies between them keeps it too. First is -1 if none
	// does.
	First, Last int
	// Again is asked when a stage failed. It may wait; true means that the
	// stage is tried again. nil means never.
	Again func(f *Flight, err error) bool
	// Crashed is told that stage f.At panicked, in place of the rest of its Run,
	// and returns what its error is; nil leaves it as it is.
	Crashed func(f *Flight, bug error) error
	// Quiet is told of waiting; it may be nil.
	Quiet *Quiet
	// Life is an ancestor of all flights' contexts, or nil. Contexts end one after
	// the other: when the first flight ends with Life and lets the next one pass,
	// that one's own may still be good.
	Life context.Context
}

// Walk takes a flight from where it is to the end of the line. It returns nil,
// ErrForked, or the error of stage f.At. A flight whose context is over goes no
// further. The flight keeps its turn until the last ordered stage is behind it;
// a flight that ends earlier must call Turn.Leave.
func (l *Line) Walk(f *Flight) error {
	for {
		err := l.walk(f)
		if err == nil || err == ErrForked || l.Again == nil || !l.Again(f, err) {
			return err // after ErrForked the flight may be somebody else's
		}
	}
}

// walk goes on until a stage fails. One guard is enough for all stages: a panic
// is the failure of the stage that the flight was in.
func (l *Line) walk(f *Flight) (err error) {
	returned := false
	defer func() {
		if !returned { // recover itself costs more than a short stage
			err = l.crashed(f, recover())
		}
	}()
	ctx, stages, ordered := f.Ctx, l.Stages, l.First >= 0
	done := ctx.Done()       // asked once: a call of the context at each stage costs as much as the stage's own
	for at := f.At; ; at++ { // f.At is for others to read: kept in memory it costs a stall per stage
		if f.At = at; at >= len(stages) {
			break
		}
		if over(done) {
			err = context.Cause(ctx)
			break
		}
		if s := &stages[at]; s.Skip == nil && s.Permit == nil && !ordered {
			err = s.Run(ctx, f)
		} else {
			err = l.step(s, f)
		}
		if err != nil {
			break
		}
		if ordered && at == l.Last {
			f.Turn.Leave()
		}
	}
	returned = true
	return err
}

// over reports that a context has ended, whose channel is done.
func over(done <-chan struct{}) bool {
	if done == nil {
		return false
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// crashed turns a panic of the stage that the flight is in into its error.
func (l *Line) crashed(f *Flight, v any) error {
	err := bug(v)
	if f.holds != nil {
		f.holds.Release()
		f.holds = nil
	}
	if l.Crashed != nil {
		return l.Crashed(f, err)
	}
	return err
}

// Fork prepares a flight for going on as its children. A stage function calls
// it before it lets the children run and returns ErrForked.
func (l *Line) Fork(f *Flight) {
	if l.First >= 0 && f.At == l.Last {
		f.Turn.Leave()
	}
}

// step is a stage with all that may have to happen before it.
func (l *Line) step(s *Stage, f *Flight) error {
	if s.Skip != nil {
		if skip, err := s.Skip(f); skip || err != nil {
			return err
		}
	}
	if l.First >= 0 && f.At >= l.First && f.At <= l.Last && !f.Turn.Ready() {
		if err := l.await(f); err != nil {
			return err
		}
	}
	p := s.Permit
	if p == nil {
		return s.Run(f.Ctx, f)
	}
	if !p.TryAcquire() {
		if err := l.acquire(p, f); err != nil {
			return err
		}
	}
	f.holds = p
	err := s.Run(f.Ctx, f)
	if err != ErrForked { // else the flight may be somebody else's
		f.holds = nil
	}
	p.Release()
	return err
}

// acquire waits for a permit that is not free.
func (l *Line) acquire(p *Permit, f *Flight) error {
	f.Waited = true
	l.Quiet.Block()
	err := p.Acquire(f.Ctx, f.Item.Priority)
	l.Quiet.Unblock(1)
	if err == nil && l.over() {
		p.Release()
		err = ended(f.Ctx)
	}
	return err
}

// await waits for the flight's turn.
func (l *Line) await(f *Flight) error {
	f.Waited = true
	l.Quiet.Block()
	err := f.Turn.Wait(f.Ctx)
	l.Quiet.Unblock(1)
	if err == nil && l.over() {
		err = ended(f.Ctx)
	}
	return err
}

func (l *Line) over() bool { return l.Life != nil && l.Life.Err() != nil }

// ended waits for a context that is about to end and returns why it did.
func ended(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}
