package runtime

import (
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Observer is told what happens. Any func may be nil. All are called on the
// goroutine that does the work, several at a time, so they must be quick, must
// not block and must not keep the item or change it. A panic in one of them is
// logged and costs nothing else.
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

// guarded returns an observer whose funcs never panic.
func (o Observer) guarded(log *slog.Logger) Observer {
	guard := func() { // deferred itself, or recover would see nothing
		if v := recover(); v != nil {
			log.Error("an observer panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}
	out := o
	if o.Running != nil {
		out.Running = func(r *Running) { defer guard(); o.Running(r) }
	}
	if o.Claimed != nil {
		out.Claimed = func(n int) { defer guard(); o.Claimed(n) }
	}
	if o.Started != nil {
		out.Started = func(it *pipeline.Item) { defer guard(); o.Started(it) }
	}
	if o.StageDone != nil {
		out.StageDone = func(it *pipeline.Item, stage string, elapsed time.Duration, err error) {
			defer guard()
			o.StageDone(it, stage, elapsed, err)
		}
	}
	if o.Retried != nil {
		out.Retried = func(it *pipeline.Item, err error, after time.Duration, queued bool) {
			defer guard()
			o.Retried(it, err, after, queued)
		}
	}
	if o.Ended != nil {
		out.Ended = func(it *pipeline.Item, oc pipeline.Outcome, elapsed time.Duration) {
			defer guard()
			o.Ended(it, oc, elapsed)
		}
	}
	if o.Released != nil {
		out.Released = func(it *pipeline.Item, r pipeline.Release) { defer guard(); o.Released(it, r) }
	}
	if o.Lost != nil {
		out.Lost = func(it *pipeline.Item) { defer guard(); o.Lost(it) }
	}
	if o.Worker != nil {
		out.Worker = func(e WorkerEvent) { defer guard(); o.Worker(e) }
	}
	return out
}
