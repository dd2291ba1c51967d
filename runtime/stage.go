package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// skip evaluates a stage's `when`. An item that it does not hold for goes on
// past the stage.
func (e *engine) skip(f *sched.Flight) (bool, error) {
	s := e.stages[f.At]
	holds, err := s.plan.When.Holds(f.Item)
	if err != nil {
		return false, e.blame(err, s.plan, f.Item)
	}
	if !holds {
		s.meter.Skip()
		f.Item.Steps = append(f.Item.Steps, pipeline.StepRecord{Stage: s.plan.Name, Kind: s.plan.Kind, Result: "skipped"})
	}
	return !holds, nil
}

// call is one call of a stage under way: what leave needs to end it.
type call struct {
	open  bool
	timed bool
	probe bool // of the breaker
	pass  *cluster.Pass
	start time.Duration
	spent charged
	span  *telemetry.Span
}

// runStage is one call of a stage with everything that surrounds it: breaker,
// limit, span, timeout, budget, clock, counters, and the children it emitted.
func (e *engine) runStage(ctx context.Context, f *sched.Flight) error {
	s := e.stages[f.At]
	ctx, err := e.enter(ctx, s, f)
	if err != nil {
		return err
	}
	if s.collect == nil && s.plan.Timeout <= 0 {
		err = s.impl.Process(ctx, f.Item)
	} else {
		err = e.bounded(ctx, s, f)
	}
	if err = e.leave(f, ousted(ctx, err)); err != nil {
		return err
	}
	if kids := f.Item.TakeEmitted(); len(kids) > 0 {
		e.fork(f, kids)
		return sched.ErrForked
	}
	return nil
}

// crashed ends the call of a stage that panicked.
func (e *engine) crashed(f *sched.Flight, bug error) error {
	if own(f).call.open {
		return e.leave(f, bug)
	}
	return bug // not the stage but somebody around it
}

// enter begins a call. The error is the breaker's or the limit's.
func (e *engine) enter(ctx context.Context, s *stage, f *sched.Flight) (context.Context, error) {
	j := own(f)
	c := &j.call
	if s.breaker != nil {
		var err error
		if c.probe, err = s.breaker.enter(time.Now()); err != nil {
			s.meter.Refused(codeBreaker)
			return nil, e.blame(err, s.plan, f.Item)
		}
	}
	if s.limit != nil {
		var err error
		if ctx, err = e.await(ctx, s, f); err != nil {
			if s.breaker != nil {
				s.breaker.leave(c.probe, &pipeline.Error{Kind: pipeline.Cancelled}, time.Now()) // it says nothing
			}
			return nil, err
		}
	}
	c.open = true
	f.Item.Checkpoint(&j.before)
	c.spent = e.charge(s, f.Item)
	// Cheap stages are timed only now and then, a flight of a brisk feed not at
	// all. Where one stage ends the next one begins: one reading is for both.
	c.timed = s.meter.Enter() && !f.Untimed
	if c.timed {
		if !j.fresh || s.limit != nil || e.line.Stages[f.At].Permit != nil {
			j.clock = e.now()
		}
		c.start = j.clock
	}
	if e.trace == nil {
		return ctx, nil
	}
	if c.span = e.root(f).span.Stage(s.plan.Name, s.plan.Kind); c.span != nil {
		ctx = pipeline.ContextWithTrace(ctx, c.span.Context())
	}
	return ctx, nil
}

// leave ends a call and returns the stage's error as the item's.
func (e *engine) leave(f *sched.Flight, err error) error {
	s, it, j := e.stages[f.At], f.Item, own(f)
	c := &j.call
	c.open = false
	if err != nil {
		err = e.explain(s.plan, f, err)
		if pipeline.KindOf(err) != pipeline.Skip {
			it.Restore(&j.before) // a failure leaves no trace
		}
	}
	s.meter.Leave()
	c.pass.Leave()
	c.pass = nil
	var elapsed time.Duration
	if j.fresh = c.timed; c.timed {
		j.clock = e.now()
		elapsed = j.clock - c.start
		s.meter.Took(elapsed)
	}
	if c.span != nil {
		if c.timed {
			s.meter.Sample(elapsed, c.span.TraceID())
		}
		c.span.End(err)
		c.span = nil
	}
	used := c.spent.settle(it)
	if s.breaker != nil {
		e.change(s, s.breaker.leave(c.probe, err, time.Now()), err)
	}
	if e.o.Observer.StageDone != nil {
		e.o.Observer.StageDone(it, s.plan.Name, elapsed, err)
	}
	if err != nil {
		s.meter.Failed(pipeline.CodeOf(err))
		return err
	}
	s.retries.earn()
	s.outage.over()
	it.Steps = append(it.Steps, pipeline.StepRecord{Stage: s.plan.Name, Kind: s.plan.Kind, Result: "ok", Elapsed: elapsed, Spent: used})
	return nil
}

// bounded calls a stage that gathers batches, or that has a timeout. Only then
// is a context made.
func (e *engine) bounded(ctx context.Context, s *stage, f *sched.Flight) error {
	if s.collect != nil {
		return s.collect.Do(ctx, f)
	}
	tctx, stop := context.WithTimeoutCause(ctx, s.plan.Timeout, errTimeout)
	defer stop()
	return timedOut(tctx, s, s.impl.Process(tctx, f.Item))
}

// timedOut names the stage's own timeout as the cause of an error under it.
func timedOut(ctx context.Context, s *stage, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errTimeout) || decided(err) {
		return err
	}
	return &pipeline.Error{Kind: pipeline.Retry, Code: "timeout",
		Err:  fmt.Errorf("no result within the stage's timeout of %v: %w", s.plan.Timeout, err),
		Hint: "raise the stage's timeout, or find out what it waits for"}
}

// decided reports errors that say what they mean, even if the context ended at
// the same time.
func decided(err error) bool {
	if errors.Is(err, pipeline.ErrLeaseLost) {
		return true
	}
	switch pipeline.KindOf(err) {
	case pipeline.Permanent, pipeline.Skip, pipeline.Bug, pipeline.Unavailable:
		return true
	}
	return false
}

// runBatch calls a batch stage for a closed batch.
func (e *engine) runBatch(s *stage, flights []*sched.Flight) []error {
	items := make([]*pipeline.Item, len(flights))
	for i, f := range flights {
		items[i] = f.Item
	}
	ctx, stop := withPermits(e.work, flights)
	defer stop()
	if s.plan.Timeout <= 0 {
		return sched.GuardBatch(ctx, s.batcher, items)
	}
	ctx, over := context.WithTimeoutCause(ctx, s.plan.Timeout, errTimeout)
	defer over()
	errs := sched.GuardBatch(ctx, s.batcher, items)
	for i, err := range errs {
		errs[i] = timedOut(ctx, s, err)
	}
	return errs
}

// explain finds out what an error under a finished context means, whether a
// stage returned it or the flight had to wait for something, and says whose it
// is.
func (e *engine) explain(sp *pipeline.StagePlan, f *sched.Flight, err error) error {
	if f.Ctx.Err() != nil && !decided(err) {
		err = e.endOf(f)
	}
	return e.blame(err, sp, f.Item)
}

// endOf returns what the end of a flight's context means for its item.
func (e *engine) endOf(f *sched.Flight) error {
	cause := context.Cause(f.Ctx)
	switch {
	case errors.Is(cause, pipeline.ErrLeaseLost):
		return cause
	case errors.Is(cause, errDeadline):
		return &pipeline.Error{Kind: pipeline.Permanent, Code: "deadline", Err: cause,
			Hint: "raise run.deadline, or do less per item"}
	}
	return &pipeline.Error{Kind: pipeline.Cancelled, Code: "cancelled", Err: cause}
}

// blame returns err as a *pipeline.Error that names stage, place, item and
// attempt, and no secret. A lost lease is nobody's failure, whoever found it out.
// The stage's own error value is not changed: it may be shared.
func (e *engine) blame(err error, sp *pipeline.StagePlan, it *pipeline.Item) error {
	var out pipeline.Error
	if inner, ok := err.(*pipeline.Error); ok {
		out = *inner
	} else {
		out = pipeline.Error{Kind: pipeline.KindOf(err), Code: pipeline.CodeOf(err), After: afterOf(err), Err: err}
	}
	if sp != nil && out.Stage == "" {
		out.Stage = sp.Name
		if out.Pos.Line == 0 { // a condition cites its own place
			out.Pos = sp.Pos
		}
	}
	if errors.Is(err, pipeline.ErrLeaseLost) {
		out.Kind, out.Code = pipeline.Cancelled, codeLeaseLost
	}
	out.Item, out.Attempt = it.ID, it.Attempt
	e.hide(&out)
	return &out
}

func afterOf(err error) time.Duration {
	var e *pipeline.Error
	if errors.As(err, &e) {
		return e.After
	}
	return 0
}

// change reports that a breaker opened or closed.
func (e *engine) change(s *stage, what string, err error) {
	if what == "" {
		return
	}
	e.log.Warn("circuit breaker: "+what, "stage", s.plan.Name, "error", err)
	e.o.Observer.worker(what, s.plan.Name, err)
}
