package runtime

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// engine is one run.
type engine struct {
	plan     *pipeline.Plan
	o        Options
	log      *slog.Logger
	carriers int
	base     time.Time

	source     pipeline.Source
	dist       pipeline.Distributor
	distPlan   *pipeline.StagePlan
	stages     []*stage
	committers []committer
	owned      []owned
	lease      time.Duration
	clocked    bool // somebody wants to know how long each item took

	member atomic.Pointer[cluster.Member] // nil until the run has joined, or if it need not
	depth  depth
	// keeper renews the membership until stopKeep is called.
	keeper   sync.WaitGroup
	stopKeep context.CancelFunc

	line  sched.Line
	quiet *sched.Quiet // nil unless a stage gathers batches
	feed  *feed.Feed
	trace *telemetry.Run

	// work is the context of items; it ends when the drain's bound has passed.
	work   context.Context
	cancel context.CancelCauseFunc
	// books is the context of acknowledgements; it outlives work by the grace.
	books    context.Context
	endBooks context.CancelFunc
	// halt ends the claims and starts the drain, with the error of the run.
	halt func(error)

	// redact takes secrets out of a text; nil if there are none.
	redact func(string) string
	// asked is when the last claim began, by the run's clock.
	asked atomic.Int64
	// abandoned are stages that still run although the run is over.
	abandoned map[*pipeline.StagePlan]bool

	stats counters
	past  memory
}

// journey is what the engine keeps for a flight (sched.Flight.Own).
type journey struct {
	root  *sched.Flight // the claimed item's flight, for a child; else nil
	up    *sched.Flight // the flight that emitted this one, or nil
	index int           // among its siblings
	kids  family
	timed bool          // start is set
	start time.Duration // since engine.base
	clock time.Duration // the last reading, if fresh
	fresh bool

	triedAt, tries int
	waited         time.Duration

	span    *telemetry.Item
	call    call
	before  pipeline.Checkpoint // the item as the stage of the call found it
	settled atomic.Bool

	mu     sync.Mutex
	cancel context.CancelCauseFunc
	cause  error // why ctx is to end, also before there is one
	// renewed is when the lease was last known to be ours.
	renewed time.Time
}

func own(f *sched.Flight) *journey { return f.Own.(*journey) }

// reset makes a journey ready for the next item.
func (e *engine) reset(f *sched.Flight) {
	j := own(f)
	j.cancel, j.cause = nil, nil // under the feed's lock, as are those who read them of another
	if e.lease > 0 {
		j.renewed = e.base.Add(time.Duration(e.asked.Load()))
	}
	j.root, j.up, j.span = nil, nil, nil
	j.kids = family{}
	j.fresh, j.timed = false, false
	j.call = call{}
	j.triedAt, j.tries, j.waited = -1, 0, 0
	j.settled.Store(false)
}

// end cancels the flight's context with a cause, now or when it gets one.
func (j *journey) end(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cause == nil {
		j.cause = cause
	}
	if j.cancel != nil {
		j.cancel(j.cause)
	}
}

// now reads the run's clock: monotonic, and cheaper than time.Now.
func (e *engine) now() time.Duration { return time.Since(e.base) }

// carry takes flights to their end until the feed has no more.
func (e *engine) carry(index int) {
	for f := e.feed.Next(index); f != nil; f = e.feed.Next(index) {
		e.handle(f)
	}
}

// handle takes one flight to its end. A panic outside the stages (in an
// observer or a driver) costs this item only, never the carrier.
func (e *engine) handle(f *sched.Flight) {
	err := e.walk(f)
	if errors.Is(err, sched.ErrForked) {
		return
	}
	if err != nil {
		e.reportPanic(f, err)
	}
	e.finish(f, err)
}

// reportPanic logs where a stage panicked, if that is what err is.
func (e *engine) reportPanic(f *sched.Flight, err error) {
	if p := new(sched.Panic); errors.As(err, &p) {
		e.log.Error("a stage panicked", "stage", e.stageName(f), "item", f.Item.ID, "panic", e.clean(p), "stack", string(p.Stack))
		e.o.Observer.worker("panic", e.stageName(f), err)
	}
}

func (e *engine) walk(f *sched.Flight) (err error) {
	defer sched.Catch(&err)
	if err := e.begin(f); err != nil {
		return err
	}
	return e.line.Walk(f)
}

// begin gives a flight its context, budget, deadline and span. Children have
// their parent's.
func (e *engine) begin(f *sched.Flight) error {
	j, it := own(f), f.Item
	if j.timed = !f.Untimed || e.clocked; j.timed {
		j.start = e.now()
		it.Started = e.base.Add(j.start)
	}
	if e.o.Observer.Started != nil {
		e.o.Observer.Started(it)
	}
	if j.up != nil {
		return nil
	}
	f.Ctx = e.work
	if it.Budget == nil {
		it.Budget = pipeline.NewBudget(int64(e.plan.Run.Budget.Fuel), int64(e.plan.Run.Budget.IO))
	}
	if cap(it.Steps) < len(e.stages) {
		it.Steps = make([]pipeline.StepRecord, 0, len(e.stages))
	}
	it.Steps = it.Steps[:0]
	e.limit(f, j)
	if e.trace != nil {
		j.span = e.trace.Item(it)
		f.Ctx = pipeline.ContextWithTrace(f.Ctx, j.span.Context(it))
	}
	if it.Condemned != nil {
		return condemned(it.Condemned)
	}
	return f.Err
}

// condemned returns the failure of an item that its source wants buried.
func condemned(cause error) error {
	out := pipeline.Error{Code: pipeline.CodeOf(cause), Err: cause}
	if inner, ok := cause.(*pipeline.Error); ok {
		out = *inner
	}
	out.Kind = pipeline.Permanent
	return &out
}

// limit gives the flight a context of its own where one is needed: for a lease
// that can be lost, or a deadline.
func (e *engine) limit(f *sched.Flight, j *journey) {
	it := f.Item
	if d := e.plan.Run.Deadline.D(); d > 0 {
		// run.deadline bounds the time that an item is worked on, over all
		// its attempts: waiting in the queue does not count, or an item of a
		// long queue would be dead before its first attempt. What earlier
		// attempts took is remembered by the process that gave the item back.
		if end := time.Now().Add(d - e.past.worked(it.ID)); it.Deadline.IsZero() || end.Before(it.Deadline) {
			it.Deadline = end
		}
	}
	if e.lease <= 0 && it.Deadline.IsZero() {
		return
	}
	ctx, cancel := context.WithCancelCause(f.Ctx)
	if !it.Deadline.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, it.Deadline, errDeadline)
		outer := cancel
		cancel = func(cause error) { outer(cause); stop() }
	}
	f.Ctx = ctx
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cancel = cancel
	if j.cause != nil {
		cancel(j.cause)
	}
}

// planOf returns the plan of the stage that a flight ended in, or of the
// distributor if it never came to one; nil if neither had a part in it.
func (e *engine) planOf(f *sched.Flight) *pipeline.StagePlan {
	if s := e.stageOf(f); s != nil {
		return s.plan
	}
	if f.Err != nil {
		return e.distPlan
	}
	return nil
}

func (e *engine) stageName(f *sched.Flight) string {
	if f.At < len(e.stages) {
		return e.stages[f.At].plan.Name
	}
	return ""
}
