package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// Run carries out a plan until its work is done or ctx ends. It builds and
// starts the stages in order before it claims anything, and closes them in
// reverse order, whatever happened.
//
// When ctx ends, Run drains: it claims no more, lets items in flight finish
// within the drain's bound, then cancels them and gives back those that are
// not at their end, without losing an attempt.
//
// Stats is never nil. The error is nil when the work was done, also if items
// failed (Stats says how many); else errors.As finds a *StartError (nothing was
// claimed), *StopError, *AbandonedError, *UnsettledError or
// *cluster.SupersededError (another version of the pipeline has taken over), and
// errors.Is finds ErrInterrupted if ctx ended the run.
func Run(ctx context.Context, plan *pipeline.Plan, o Options) (*Stats, error) {
	e := newEngine(plan, o.withDefaults())
	defer e.cancel(errDrained)
	began := time.Now()
	err := e.build(ctx)
	if err == nil {
		err = e.run(ctx)
	}
	err = errors.Join(err, e.close())
	wall := time.Since(began)
	flush, stop := context.WithTimeout(context.WithoutCancel(ctx), e.o.Grace)
	defer stop()
	if ferr := e.o.Telemetry.Flush(flush); ferr != nil {
		e.log.Warn("spans could not be exported", "error", ferr)
	}
	stats := e.report(wall)
	stats.Stopped = stopped(err)
	return stats, err
}

func newEngine(plan *pipeline.Plan, o Options) *engine {
	e := &engine{plan: plan, o: o, carriers: plan.Run.Concurrency, base: time.Now()}
	if e.carriers <= 0 {
		e.carriers = pipeline.DefaultRun().Concurrency
	}
	e.log = o.Log.With("run", o.RunID)
	e.o.Observer = o.Observer.guarded(e.log)
	if len(plan.Secrets) > 0 {
		e.redact = telemetry.Redactor(plan.Secrets)
	}
	e.work, e.cancel = context.WithCancelCause(context.Background())
	return e
}

// run is the part between the start of the stages and their end.
func (e *engine) run(ctx context.Context) error {
	e.lease = e.source.Lease()
	e.books, e.endBooks = context.WithCancel(context.WithoutCancel(ctx))
	defer e.endBooks()
	claims, endClaims := context.WithCancelCause(ctx)
	defer endClaims(nil)
	e.halt = func(err error) { endClaims(err) }
	e.trace = e.o.Telemetry.Run(ctx, e.plan.Name, e.o.RunID, e.plan.Secrets)
	defer e.trace.End()
	e.feed = e.newFeed(claims)
	metrics, err := telemetry.Listen(e.o.MetricsAddr) // before others make way for this run
	if err != nil {
		return &StartError{Err: fmt.Errorf("metrics: %w", err)}
	}
	if err := e.join(ctx); err != nil {
		return &StartError{Err: errors.Join(err, metrics.Close())}
	}
	defer e.quit()
	defer metrics.Serve(func() telemetry.Reading { return e.reading(e.books) })()
	if e.o.Observer.Running != nil {
		e.o.Observer.Running(&Running{e})
	}

	var carriers, beat sync.WaitGroup
	for i := range e.carriers {
		carriers.Go(func() { e.carry(i) })
	}
	stopBeat := make(chan struct{})
	if w, ok := e.source.(pipeline.Waker); ok {
		beat.Go(func() { e.heed(w.Wakes(), stopBeat) })
	}
	if e.lease > 0 {
		beat.Go(func() { e.heartbeat(stopBeat) })
		beat.Go(func() { e.expire(stopBeat) })
	}
	err = e.watch(ctx, claims, waited(&carriers))
	close(stopBeat)
	e.endBooks()
	within(waited(&beat), e.o.Grace) // a renewal may hang
	return errors.Join(err, e.stats.unsettledError())
}

// watch waits for the carriers, and drains them when the claims are ended.
func (e *engine) watch(ctx, claims context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		if claims.Err() == nil {
			return nil
		}
	case <-claims.Done():
	}
	abandoned := e.drain(done)
	var stop *StopError
	var unsettled *UnsettledError
	switch cause := context.Cause(claims); {
	case errors.As(cause, &stop):
		return errors.Join(stop, abandoned)
	case errors.As(cause, &unsettled): // run knows all of them
		return abandoned
	case ctx.Err() != nil:
		return errors.Join(ErrInterrupted, abandoned)
	default: // another version took over
		return errors.Join(cause, abandoned)
	}
}

// close closes what was made, last first. Each gets the grace; what takes longer
// is left behind and named. A stage that was abandoned is not closed: it still
// works with what Close would take from it (the memory of a kernel's guest).
func (e *engine) close() error {
	var errs []error
	for _, o := range slices.Backward(e.owned) {
		if e.abandoned[o.plan] {
			continue
		}
		ended := make(chan error, 1)
		go func() { ended <- closeOne(o) }()
		t := time.NewTimer(e.o.Grace)
		select {
		case err := <-ended:
			if err != nil {
				errs = append(errs, &pipeline.Error{Stage: o.plan.Name, Pos: o.plan.Pos, Err: fmt.Errorf("close: %w", err)})
			}
		case <-t.C:
			errs = append(errs, &AbandonedError{Stages: []string{o.plan.Name + " (close)"}})
		}
		t.Stop()
	}
	return errors.Join(errs...)
}

func closeOne(o owned) (err error) {
	defer sched.Catch(&err)
	return o.closer.Close()
}

func (e *engine) newFeed(claims context.Context) *feed.Feed {
	c := feed.Config{
		Carriers: e.carriers, Source: e.source, Distributor: e.dist, UntilEmpty: e.o.UntilEmpty, Quiet: e.quiet,
		Poll:  feed.Poll{Min: e.o.PollMin, Busy: e.o.PollBusy, Idle: e.o.PollIdle},
		New:   func() any { return new(journey) },
		Reset: e.reset, Failed: e.claimFailed,
		GiveBack: func(f *sched.Flight) {
			e.settle(f, nil, drained())
		},
	}
	if e.lease > 0 {
		c.Source = clockedSource{e.source, e}
	}
	if e.line.First >= 0 {
		c.Order = sched.NewRing(e.carriers)
	}
	if e.trace != nil || e.o.Observer.Claimed != nil {
		c.Claimed = e.claimed
	}
	return feed.New(claims, c)
}

func (e *engine) claimed(items []*pipeline.Item, start time.Time) {
	e.trace.Claimed(items, start)
	if e.o.Observer.Claimed != nil {
		e.o.Observer.Claimed(len(items))
	}
}

// claimFailed reports whether claims can never succeed, which ends the run.
func (e *engine) claimFailed(err error) bool {
	err = e.clean(err)
	e.log.Warn("claim failed", "error", err)
	e.o.Observer.worker("claim-failed", "", err)
	var typed *pipeline.Error
	final := errors.Is(err, pipeline.ErrNoQueue) ||
		errors.As(err, &typed) && (typed.Kind == pipeline.Permanent || typed.Kind == pipeline.Bug)
	if final {
		e.halt(&StopError{Err: err})
	}
	return final
}
