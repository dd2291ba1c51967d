package runtime

import (
	"math/rand/v2"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

const (
	quickWait = 5 * time.Second // waits in place where claims do not expire
)

// fullJitter returns a wait before try n (0 is the first retry): uniform between
// 0 and the doubled shortest wait, capped by the longest ("full jitter", AWS
// Architecture Blog 2015, "Exponential Backoff And Jitter").
func fullJitter(r pipeline.Range, n int) time.Duration {
	limit := min(r.Max.D(), r.Min.D()<<min(n, 16))
	if limit <= 0 {
		return 0
	}
	return rand.N(limit + 1)
}

// retryOf returns the retry policy of a stage; nil is the run's.
func (e *engine) retryOf(s *stage) pipeline.RetryConfig {
	c := e.plan.Run.Retry
	if s != nil && s.plan.Retry != nil {
		c = *s.plan.Retry
	}
	if c == (pipeline.RetryConfig{}) {
		return pipeline.DefaultRun().Retry
	}
	return c
}

// policy returns the retry policy of a stage for an item. attempts counts
// claims; 1 means that nothing is tried twice, in place neither.
func (e *engine) policy(s *stage, it *pipeline.Item) (attempts int, backoff pipeline.Range) {
	c, def := e.retryOf(s), pipeline.DefaultRun().Retry
	if attempts = c.Attempts; attempts <= 0 {
		attempts = def.Attempts
	}
	if it.MaxAttempts > 0 {
		attempts = it.MaxAttempts
	}
	if backoff = c.Backoff; backoff.Max <= 0 {
		backoff = def.Backoff
	}
	return attempts, backoff
}

// again is the retry in place: at most retry.inPlace per stage, in all no longer
// than a third of the lease, so that no carrier and no lease is held for long.
// Longer waits go through the queue. The item is as it was before the failed try
// (see leave).
func (e *engine) again(f *sched.Flight, err error) bool {
	s, j := e.stages[f.At], own(f)
	if pipeline.KindOf(err) != pipeline.Retry || s.plan.OnError != pipeline.OnErrorRetry || f.Ctx.Err() != nil {
		return false
	}
	attempts, backoff := e.policy(s, f.Item)
	if j.triedAt != f.At {
		j.triedAt, j.tries = f.At, 0
	}
	wait := max(afterOf(err), fullJitter(backoff, f.Item.Attempt-1+j.tries))
	if attempts <= 1 || j.tries >= e.retryOf(s).InPlace || j.waited+wait > e.quickWait() || !s.retries.take() {
		return false
	}
	j.tries++
	j.waited += wait
	e.stats.retries.Add(1)
	if e.o.Observer.Retried != nil {
		e.o.Observer.Retried(f.Item, err, wait, false)
	}
	e.quiet.Block()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.Ctx.Done():
	}
	e.quiet.Unblock(1)
	return f.Ctx.Err() == nil
}

func (e *engine) quickWait() time.Duration {
	if e.lease > 0 {
		return e.lease / 3
	}
	return quickWait
}
