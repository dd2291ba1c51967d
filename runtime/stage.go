package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
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

// runStage is one call of a stage with everything that surrounds it: breaker,
// span, timeout, budget, clock, counters, and the children it emitted.
func (e *engine) runStage(ctx context.Context, f *sched.Flight) error {
	s, it := e.stages[f.At], f.Item
	probe := false
	if s.breaker != nil {
		var err error
		if probe, err = s.breaker.enter(time.Now()); err != nil {
			s.meter.Failed(codeBreaker)
			return e.blame(err, s.plan, it)
		}
	}
	spent := e.charge(s, it)
	elapsed, err := e.timed(ctx, s, f)
	used := spent.settle(it)
	if s.breaker != nil {
		e.change(s, s.breaker.leave(probe, err, time.Now()), err)
	}
	if err != nil {
		s.meter.Failed(pipeline.CodeOf(err))
		return err
	}
	s.served.Add(1)
	s.retries.earn()
	s.outage.over()
	it.Steps = append(it.Steps, pipeline.StepRecord{Stage: s.plan.Name, Kind: s.plan.Kind, Result: "ok", Elapsed: elapsed, Spent: used})
	if kids := it.TakeEmitted(); len(kids) > 0 {
		e.fork(f, kids)
		return sched.ErrForked
	}
	return nil
}

// timed calls the stage inside its span and meter. Cheap stages are timed only
// now and then; a traced item is timed always.
func (e *engine) timed(ctx context.Context, s *stage, f *sched.Flight) (elapsed time.Duration, err error) {
	j := own(f)
	timed := s.meter.Enter()
	var start time.Duration
	if timed {
		if !j.fresh || e.line.Stages[f.At].Permit != nil {
			j.clock = e.now()
		}
		start = j.clock
	}
	span := e.root(f).span.Stage(s.plan.Name, s.plan.Kind)
	if span != nil {
		ctx = pipeline.ContextWithTrace(ctx, span.Context())
	}
	err = e.explain(ctx, s, f, e.bounded(ctx, s, f))
	span.End(err)
	s.meter.Leave()
	if j.fresh = timed; timed {
		j.clock = e.now()
		elapsed = j.clock - start
		s.meter.Took(elapsed)
	}
	if e.o.Observer.StageDone != nil {
		e.o.Observer.StageDone(f.Item, s.plan.Name, elapsed, err)
	}
	return elapsed, err
}

// bounded calls the stage under its timeout, if it has one. Only then is a
// context made.
func (e *engine) bounded(ctx context.Context, s *stage, f *sched.Flight) error {
	if s.collect != nil {
		return s.collect.Do(ctx, f)
	}
	if s.plan.Timeout <= 0 {
		return sched.Guard(ctx, s.impl, f.Item)
	}
	tctx, stop := context.WithTimeoutCause(ctx, s.plan.Timeout, errTimeout)
	defer stop()
	return timedOut(tctx, s, sched.Guard(tctx, s.impl, f.Item))
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
	ctx := e.work
	if s.plan.Timeout <= 0 {
		return sched.GuardBatch(ctx, s.batcher, items)
	}
	ctx, stop := context.WithTimeoutCause(ctx, s.plan.Timeout, errTimeout)
	defer stop()
	errs := sched.GuardBatch(ctx, s.batcher, items)
	for i, err := range errs {
		errs[i] = timedOut(ctx, s, err)
	}
	return errs
}

// explain finds out what an error under a finished context means, and says
// whose it is.
func (e *engine) explain(ctx context.Context, s *stage, f *sched.Flight, err error) error {
	if err == nil {
		return nil
	}
	if f.Ctx.Err() != nil && !decided(err) {
		err = e.endOf(f)
	}
	return e.blame(err, s.plan, f.Item)
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
// attempt. The stage's own error value is not changed: it may be shared.
func (e *engine) blame(err error, sp *pipeline.StagePlan, it *pipeline.Item) error {
	var out pipeline.Error
	if inner, ok := err.(*pipeline.Error); ok {
		out = *inner
	} else {
		out = pipeline.Error{Kind: pipeline.KindOf(err), Code: pipeline.CodeOf(err), After: afterOf(err), Err: err}
	}
	if sp != nil && out.Stage == "" {
		out.Stage, out.Pos = sp.Name, sp.Pos
	}
	out.Item, out.Attempt = it.ID, it.Attempt
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
