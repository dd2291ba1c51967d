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

	// Lane, Key, Held and Carrier are the feed's.
	Lane    int
	Key     string
	Held    int
	Carrier int
}

// Reset prepares a flight for another item.
func (f *Flight) Reset(it *pipeline.Item) {
	*f = Flight{Item: it, Own: f.Own, Held: -1, Carrier: -1}
}

// Stage is one stop of the line.
type Stage struct {
	// Run does the stage's work. ErrForked ends the walk.
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
	// Quiet is told of waiting; it may be nil.
	Quiet *Quiet
}

// Walk takes a flight from where it is to the end of the line. It returns nil,
// ErrForked, or the error of stage f.At. A flight whose context is over goes no
// further. The flight keeps its turn until the last ordered stage is behind it;
// a flight that ends earlier must call Turn.Leave.
func (l *Line) Walk(f *Flight) error {
	for f.At < len(l.Stages) {
		switch err := l.step(&l.Stages[f.At], f); {
		case err == ErrForked: // the flight may be somebody else's by now
			return err
		case err == nil:
			l.passed(f)
			f.At++
		case l.Again == nil || !l.Again(f, err):
			return err
		}
	}
	return nil
}

// Fork prepares a flight for going on as its children. A stage function calls
// it before it lets the children run and returns ErrForked.
func (l *Line) Fork(f *Flight) { l.passed(f) }

// passed gives up the turn behind the last stage that wants it.
func (l *Line) passed(f *Flight) {
	if f.At == l.Last && l.First >= 0 {
		f.Turn.Leave()
	}
}

func (l *Line) step(s *Stage, f *Flight) error {
	if f.Ctx.Err() != nil {
		return context.Cause(f.Ctx)
	}
	if s.Skip != nil {
		if skip, err := s.Skip(f); skip || err != nil {
			return err
		}
	}
	if l.First >= 0 && f.At >= l.First && f.At <= l.Last {
		if err := l.await(f); err != nil {
			return err
		}
	}
	if s.Permit == nil {
		return s.Run(f.Ctx, f)
	}
	if !s.Permit.TryAcquire() {
		l.Quiet.Block()
		err := s.Permit.Acquire(f.Ctx, f.Item.Priority)
		l.Quiet.Unblock(1)
		if err != nil {
			return err
		}
	}
	defer s.Permit.Release()
	return s.Run(f.Ctx, f)
}

func (l *Line) await(f *Flight) error {
	if f.Turn.Ready() {
		return nil
	}
	l.Quiet.Block()
	err := f.Turn.Wait(f.Ctx)
	l.Quiet.Unblock(1)
	return err
}
