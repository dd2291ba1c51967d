package runtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// abandonWriters is how many abandoned items are given back at a time.
const abandonWriters = 16

// drained is what becomes of an item that is not at its end when the run is.
func drained() verdict {
	return verdict{release: true, refund: true, err: &pipeline.Error{Kind: pipeline.Cancelled, Code: "cancelled", Err: errDrained}}
}

// drain stops claiming and waits for the carriers within the bound; then it
// cancels their items, and after the grace their writes to the queue; then it
// leaves without those that stay. Whatever hangs, a stage or the queue, that
// takes the bound and the grace, and once more the grace for what is left.
func (e *engine) drain(done <-chan struct{}) error {
	bound := e.o.Drain
	if bound <= 0 {
		bound = e.plan.Run.Drain.D()
	}
	e.log.Info("draining: no more claims", "inFlight", e.feed.InFlight(), "bound", bound)
	e.o.Observer.worker("drain", "", nil)
	if m := e.member.Load(); m != nil {
		m.Drain()
	}
	var ending sync.WaitGroup
	ending.Go(e.feed.Stop) // gives back what no carrier has taken
	ending.Go(func() { <-done })
	ended := waited(&ending)
	if e.finishes(ended, bound) {
		return nil
	}
	e.cancel(errDrained)
	if within(ended, e.o.Grace) {
		return nil
	}
	e.endBooks()
	return e.abandon(ended)
}

// finishes reports whether everything ended within the bound and before an
// Abort.
func (e *engine) finishes(ended <-chan struct{}, bound time.Duration) bool {
	t := time.NewTimer(bound)
	defer t.Stop()
	select {
	case <-ended:
		return true
	case <-t.C:
	case <-e.work.Done():
	}
	return false
}

// waited returns a channel that is closed when a group is done.
func waited(g *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() { g.Wait(); close(done) }()
	return done
}

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// abandon gives back the items of stages that do not return. Their carriers
// are left behind and may write nothing any more.
func (e *engine) abandon(ended <-chan struct{}) error {
	e.abandoned = make(map[*pipeline.StagePlan]bool)
	var stages []string
	for _, s := range e.stages {
		if s.meter.InFlight()+s.commits.Load() > 0 {
			e.abandoned[s.plan] = true
			stages = append(stages, s.plan.Name)
		}
	}
	if len(stages) == 0 {
		// It was the queue that hung. Its calls have just been cancelled.
		if within(ended, e.o.Grace) {
			return nil
		}
		source := &e.plan.Stages[0]
		e.abandoned[source] = true
		stages = append(stages, source.Name)
	} else {
		e.giveBack(e.unclaimed())
	}
	slices.Sort(stages)
	err := &AbandonedError{Stages: stages}
	e.o.Observer.worker("abandoned", "", err)
	return err
}

// unclaimed takes the items in flight away from their carriers, as far as these
// have not begun to write about them.
func (e *engine) unclaimed() (items []*pipeline.Item) {
	e.feed.Held(func(f *sched.Flight) {
		if own(f).settled.CompareAndSwap(false, true) {
			it := f.Item // its stage still has it: only what never changes may be read
			items = append(items, &pipeline.Item{ID: it.ID, Key: it.Key, Queue: it.Queue, Priority: it.Priority,
				Attempt: it.Attempt, MaxAttempts: it.MaxAttempts, Token: it.Token, Enqueued: it.Enqueued})
		}
	})
	return items
}

// giveBack gives items back side by side, within the grace.
func (e *engine) giveBack(items []*pipeline.Item) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(e.books), e.o.Grace)
	defer stop()
	queue := make(chan *pipeline.Item, len(items))
	for _, it := range items {
		queue <- it
	}
	close(queue)
	v := drained()
	type answer struct {
		it  *pipeline.Item
		err error
	}
	answers := make(chan answer, len(items))
	for range min(len(items), abandonWriters) {
		go func() {
			for it := range queue {
				answers <- answer{it, e.nack(ctx, it, pipeline.Release{Refund: true, Cause: v.err})}
			}
		}()
	}
	for left := len(items); left > 0; left-- {
		select {
		case a := <-answers:
			if a.err != nil {
				e.unsettled(a.err)
			} else {
				e.released(a.it, v, 0)
			}
		case <-ctx.Done():
			for range left {
				e.unsettled(context.Cause(ctx))
			}
			return
		}
	}
}
