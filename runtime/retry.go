package runtime

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

const (
	quickTries = 2               // tries in place per stage, at most
	quickWait  = 5 * time.Second // waits in place where claims do not expire
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

// policy returns the retry policy of a stage for an item. attempts counts
// claims; 1 means that nothing is tried twice, in place neither.
func (e *engine) policy(s *stage, it *pipeline.Item) (attempts int, backoff pipeline.Range) {
	c, def := e.plan.Run.Retry, pipeline.DefaultRun().Retry
	if s != nil && s.plan.Retry != nil {
		c = *s.plan.Retry
	}
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

// again is the retry in place: at most quickTries per stage, in all no longer
// than a third of the lease, so that no carrier and no lease is held for long.
// Longer waits go through the queue.
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
	if attempts <= 1 || j.tries >= quickTries || j.waited+wait > e.quickWait() || !s.retries.take() {
		return false
	}
	j.tries++
	j.waited += wait
	e.stats.retries.Add(1)
	if e.o.Observer.Retried != nil {
		e.o.Observer.Retried(f.Item, err, wait, false)
	}
	f.Item.TakeEmitted() // the failed try's children are not wanted
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

// retryBudget keeps an outage from being multiplied by retries in place: a
// retry costs a token, a success earns a tenth of one, and there are at most
// ten. The unit is a tenth of a token.
type retryBudget struct{ tenths atomic.Int64 }

const retryTokens = 100

func (b *retryBudget) fill() { b.tenths.Store(retryTokens) }

func (b *retryBudget) take() bool {
	if b.tenths.Add(-10) >= 0 {
		return true
	}
	b.tenths.Add(10)
	return false
}

func (b *retryBudget) earn() {
	if b.tenths.Load() < retryTokens {
		b.tenths.Add(1)
	}
}

// outage spaces out the attempts of a stage whose infrastructure is missing:
// 0.5 s, doubled once per wait up to 30 s, half of it jittered.
type outage struct {
	on    atomic.Bool
	mu    sync.Mutex
	count int
	until time.Time
}

// wait returns how long an item stays away, and whether it is more than one
// item's trouble.
func (o *outage) wait(now time.Time) (d time.Duration, lasting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.on.Store(true)
	d = min(30*time.Second, 500*time.Millisecond<<min(o.count, 6))
	if now.After(o.until) {
		o.count++
		o.until = now.Add(d)
	}
	return d/2 + rand.N(d/2+1), o.count > 1
}

// over ends the outage after a success.
func (o *outage) over() {
	if o.on.Load() {
		o.mu.Lock()
		o.count, o.until = 0, time.Time{}
		o.mu.Unlock()
		o.on.Store(false)
	}
}
