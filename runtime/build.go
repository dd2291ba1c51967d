package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/internal/meter"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// stage is one stage of the line with everything the engine keeps for it.
type stage struct {
	plan    *pipeline.StagePlan
	impl    pipeline.Stage
	batcher pipeline.Batcher
	collect *sched.Collector // nil unless batcher is set
	breaker *breaker         // nil unless configured
	limit   *cluster.Limiter // nil unless configured
	retries retryBudget
	outage  outage
	meter   *meter.Stage
	commits atomic.Int64 // calls of Commit going on
}

// owned is something to be closed, and whose it is.
type owned struct {
	plan   *pipeline.StagePlan
	closer io.Closer
}

// build makes and starts all stages in order. On an error, what was made is in
// e.owned and is to be closed.
func (e *engine) build(ctx context.Context) error {
	for i := range e.plan.Stages {
		sp := &e.plan.Stages[i]
		made, err := e.make(ctx, sp)
		if err == nil {
			err = e.place(i, sp, made)
		}
		if err == nil {
			if s, ok := made.(pipeline.Starter); ok {
				err = start(ctx, s)
			}
		}
		if err != nil {
			return &StartError{Stage: sp.Name, Pos: sp.Pos, Err: err}
		}
	}
	if e.source == nil {
		return &StartError{Err: errors.New("the pipeline has no source: its first stage must be one")}
	}
	e.wire()
	return nil
}

func (e *engine) make(ctx context.Context, sp *pipeline.StagePlan) (made any, err error) {
	defer sched.Catch(&err)
	made, err = sp.Build(ctx, e.env(sp))
	if err != nil {
		return nil, err
	}
	if c, ok := made.(io.Closer); ok {
		e.owned = append(e.owned, owned{sp, c})
	}
	return made, nil
}

func start(ctx context.Context, s pipeline.Starter) (err error) {
	defer sched.Catch(&err)
	return s.Start(ctx)
}

// place puts what was made where it belongs.
func (e *engine) place(i int, sp *pipeline.StagePlan, made any) error {
	switch v := made.(type) {
	case pipeline.Source:
		if i != 0 {
			return errors.New("a source must be the first stage")
		}
		e.source = v
	case pipeline.Distributor:
		if i != 1 {
			return errors.New("a distributor must be the second stage")
		}
		e.dist, e.distPlan = v, sp
	case pipeline.Stage:
		e.addStage(sp, v)
	default:
		return fmt.Errorf("%T is neither a stage, a source nor a distributor", made)
	}
	return nil
}

func (e *engine) addStage(sp *pipeline.StagePlan, impl pipeline.Stage) {
	s := &stage{plan: sp, impl: impl, meter: &meter.Stage{Name: sp.Name}}
	s.retries.fill()
	if sp.Breaker != nil {
		s.breaker = newBreaker(*sp.Breaker)
	}
	if b, ok := impl.(pipeline.Batcher); ok {
		s.batcher = b
	}
	if c, ok := impl.(pipeline.Committer); ok {
		e.committers = append(e.committers, committer{c, s, len(e.stages)})
	}
	e.stages = append(e.stages, s)
}

// wire makes the line that carriers walk.
func (e *engine) wire() {
	e.line = sched.Line{First: -1, Again: e.again, Crashed: e.crashed, Life: e.work}
	for i, s := range e.stages {
		if o, ok := s.impl.(pipeline.Orderer); ok && o.Ordered() {
			if e.line.First < 0 {
				e.line.First = i
			}
			e.line.Last = i
		}
	}
	for i, s := range e.stages {
		st := sched.Stage{Run: e.runStage}
		if n := s.plan.Concurrency; n > 0 && n < e.carriers {
			st.Permit = sched.NewPermit(n)
		}
		if s.plan.When != nil {
			st.Skip = e.skip
		}
		e.line.Stages = append(e.line.Stages, st)
		e.batch(i, s)
	}
	e.line.Quiet = e.quiet
	obs := &e.o.Observer
	e.clocked = len(e.committers) > 0 || obs.Started != nil || obs.Ended != nil || e.plan.Run.Deadline > 0 || e.o.Telemetry != nil
}

// batch gives a stage a collector, unless the order leaves it no company.
func (e *engine) batch(i int, s *stage) {
	inOrder := e.line.First >= 0 && i >= e.line.First && i <= e.line.Last
	if s.batcher == nil || inOrder {
		return
	}
	most, linger := s.batcher.Batching()
	if n := s.plan.Concurrency; n > 0 {
		most = min(most, n)
	}
	if most = min(most, e.carriers); most < 2 {
		return
	}
	if e.quiet == nil {
		e.quiet = new(sched.Quiet)
	}
	s.collect = sched.NewCollector(most, linger, e.quiet, func(fs []*sched.Flight) []error { return e.runBatch(s, fs) })
}

func (e *engine) env(sp *pipeline.StagePlan) pipeline.Env {
	n := e.carriers
	if sp.Concurrency > 0 {
		n = min(n, sp.Concurrency)
	}
	return pipeline.Env{
		Log: e.log.With("stage", sp.Name), Dir: e.plan.Dir,
		Run: pipeline.RunInfo{ID: e.o.RunID, Pipeline: e.plan.Name, Source: e.plan.Source, Digest: e.plan.Digest,
			Version: e.o.Version, MaxAttempts: e.plan.Run.Retry.Attempts},
		Stage: sp.Name, Kind: sp.Kind, Pos: sp.Pos, Concurrency: n,
		CacheDir: e.o.CacheDir, RuntimeDir: e.o.RuntimeDir, Stdout: e.o.Stdout, Stdin: e.o.Stdin, Lanes: e.lanes,
	}
}
