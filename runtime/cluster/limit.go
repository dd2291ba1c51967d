package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// ErrBusy is the error of a wait for a limit that takes longer than the caller's
// patience. A *BusyError tells more.
var ErrBusy = errors.New("the limit is used up")

// BusyError is an ErrBusy of which is known when it is worth another try.
type BusyError struct{ After time.Duration }

// Error says when.
func (e *BusyError) Error() string { return fmt.Sprintf("%v for %v", ErrBusy, e.After) }

// Is makes it an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// ErrPermitLost is the cause that ends the context of a call whose permit is
// somebody else's now: its process could not renew its session.
var ErrPermitLost = errors.New("the permit was lost: the session on the queue could not be renewed")

// Limit is what all processes on a queue together may do at a stage, or with one
// key of it.
type Limit struct {
	// Concurrency is how many calls go on at a time; 0: any number.
	Concurrency int
	// Rate is how many begin in a time; zero: any number. They are evenly spaced.
	Rate pipeline.Rate
}

// Limiter keeps the limit of one stage. Its methods may be called at the same
// time.
type Limiter struct {
	m     *Member
	stage string
	limit Limit

	mu     sync.Mutex
	pools  map[string]*pool
	pacers map[string]*pacer
	// sweepAt is how many pacers there are when the idle ones are forgotten next.
	sweepAt int

	waiting, waits, waited atomic.Int64
}

// Limiter returns the limiter of a stage.
func (m *Member) Limiter(stage string, l Limit) *Limiter {
	return &Limiter{m: m, stage: stage, limit: l, pools: map[string]*pool{}, pacers: map[string]*pacer{}, sweepAt: maxPacers}
}

// Pass is the right to be inside a stage. Leave must be called once.
type Pass struct {
	p *pool
	u *units
	// Ctx ends when the call's context does, and when the permit is lost.
	Ctx  context.Context
	stop func()
}

// Entry is who wants in.
type Entry struct {
	// Key has the limit to itself.
	Key string
	// Patience is how long it waits at most; 0: any time.
	Patience time.Duration
	// Waits is called if it has to wait, and what it returns when it need not any
	// more; nil: nobody wants to know.
	Waits func() (done func())
}

// Enter waits until a call may begin. The error is ErrBusy if that takes longer
// than its patience, at once if that is certain, or ctx's cause.
func (l *Limiter) Enter(ctx context.Context, e Entry) (*Pass, error) {
	wait := ctx
	if e.Patience > 0 {
		var stop context.CancelFunc
		wait, stop = context.WithTimeoutCause(ctx, e.Patience, ErrBusy)
		defer stop()
	}
	watch := &stopwatch{l: l, waits: e.Waits}
	defer watch.stop()
	pass := &Pass{Ctx: ctx, stop: func() {}}
	if l.limit.Concurrency > 0 {
		if err := l.permit(ctx, wait, e, pass, watch); err != nil {
			return nil, err
		}
	}
	if l.limit.Rate.Count > 0 {
		if err := l.pace(wait, e, watch); err != nil {
			pass.Leave()
			return nil, err
		}
	}
	return pass, nil
}

// permit gets one of the limit's permits.
func (l *Limiter) permit(ctx, wait context.Context, e Entry, pass *Pass, watch *stopwatch) error {
	p, u, err := l.acquire(wait, e, watch)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	lost := context.AfterFunc(u.s.ctx, func() { cancel(ErrPermitLost) })
	*pass = Pass{p: p, u: u, Ctx: inner, stop: func() { lost(); cancel(nil) }}
	return nil
}

// Leave ends the call. Of a nil Pass it does nothing.
func (p *Pass) Leave() {
	if p == nil {
		return
	}
	p.stop()
	if p.p != nil {
		p.p.release(p.u)
	}
}

// stopwatch counts one call's wait, if it has to.
type stopwatch struct {
	l     *Limiter
	waits func() func()
	began time.Time
	done  func()
}

func (w *stopwatch) start() {
	if !w.began.IsZero() {
		return
	}
	w.began = time.Now()
	w.l.waiting.Add(1)
	w.l.waits.Add(1)
	if w.waits != nil {
		w.done = w.waits()
	}
}

func (w *stopwatch) stop() {
	if w.began.IsZero() {
		return
	}
	w.l.waiting.Add(-1)
	w.l.waited.Add(int64(time.Since(w.began)))
	if w.done != nil {
		w.done()
	}
}

// Waiting returns how many calls wait at this moment, how many had to wait so
// far, and how long altogether.
func (l *Limiter) Waiting() (now, calls int64, total time.Duration) {
	return l.waiting.Load(), l.waits.Load(), time.Duration(l.waited.Load())
}
