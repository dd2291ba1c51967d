// Package runtime runs a pipeline.Plan.
//
// What comes in is a plan (typed, checked, not yet built) and Options; what goes
// out is Stats and, for every claimed item, exactly one write to its source:
// acknowledged with an outcome, or given back. A run goes
//
//	build and start the stages  (build.go)      nothing is claimed before all are up
//	carriers pull items         (internal/feed) only when free, by lane
//	walk them through the line  (internal/sched) permits, order, batches
//	call each stage             (stage.go)      breaker, span, timeout, budget, clock
//	judge how the walk ended    (judge.go)      the error's kind and on_error decide
//	carry the verdict out       (settle.go)     evidence first, then the queue, then the counters
//	drain and close             (run.go)
//
// Beside it a heartbeat renews the leases (lease.go), a family keeps account of
// the children that an item emitted (family.go), and retry.go and breaker.go
// keep a failing dependency from being hammered.
//
// Rules that hold everywhere: an item that a stage failed goes no further; the
// acknowledgement is the last write and carries the fencing token; a lost lease
// cancels the item's context and nothing is written about it; only what this
// run claimed is given back; a panic costs one item; nobody waits for ever for a
// stage that ignores its context.
//
// The package knows no stage, plugin, queue driver or browser by name.
package runtime
