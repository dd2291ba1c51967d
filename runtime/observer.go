package runtime

import (
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Observer is told what happens. Any func may be nil. All are called on the
// goroutine that does the work, several at a time, so they must be quick, must
// not block and must not keep the item or change it.
type Observer struct {
	// Running is called once, before the first claim, with the running
	// pipeline. It is the only one that may keep its argument.
	Running func(r *Running)
	// Claimed is called after a claim that returned n items.
	Claimed func(n int)
	// Started is called when a carrier takes an item or a child.
	Started func(it *pipeline.Item)
	// StageDone is called after each call of a stage; for stages below 10 µs
	// elapsed is 0 when the call was not timed.
	StageDone func(it *pipeline.Item, stage string, elapsed time.Duration, err error)
	// Retried is called before an item is tried again in place (queued is
	// false) or given back for a later attempt.
	Retried func(it *pipeline.Item, err error, after time.Duration, queued bool)
	// Ended is called after the source took an item's outcome.
	Ended func(it *pipeline.Item, o pipeline.Outcome, elapsed time.Duration)
	// Released is called after the source took an item back.
	Released func(it *pipeline.Item, r pipeline.Release)
	// Lost is called when an item turns out to be somebody else's.
	Lost func(it *pipeline.Item)
	// Worker is told of panics, breakers and drains.
	Worker func(e WorkerEvent)
}

// WorkerEvent is something that happened to the run rather than to an item.
type WorkerEvent struct {
	// What is panic, breaker-open, breaker-closed, claim-failed, drain or
	// abandoned.
	What string
	// Stage is the stage it happened in, if any.
	Stage string
	Err   error
}

func (o *Observer) worker(what, stage string, err error) {
	if o.Worker != nil {
		o.Worker(WorkerEvent{What: what, Stage: stage, Err: err})
	}
}
