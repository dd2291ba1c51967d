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
//	share with other processes  (member.go)     runtime/cluster: lanes, limits (limit.go), version
//	judge how the walk ended    (judge.go)      the error's kind and on_error decide
//	carry the verdict out       (settle.go)     evidence first (evidence.go), then the queue, then the counters
//	drain and close             (drain.go, run.go)
//
// Beside it a heartbeat renews the leases (lease.go), a family keeps account of
// the children that an item emitted (family.go), and retry.go, tokens.go,
// outage.go and breaker.go keep a failing dependency from being hammered.
//
// Rules that hold everywhere: an item that a stage failed goes no further, and a
// failed Process leaves no trace in the item (pipeline.Stage); an end that cannot
// be put on record is no success; the acknowledgement is the last write and
// carries the fencing token; a lease ends with its time, counted from before the
// claim, or when anybody finds it lost, and then the item's context ends and
// nothing is written about it; only what this run claimed is given back; an item
// that waits for whatever when the run ends goes back whole; no secret of the
// plan stands in an error that leaves the engine; a panic costs one item; nobody
// waits for ever for a stage or a queue that ignores its context.
//
// The package knows no stage, plugin, queue driver or browser by name.
package runtime
