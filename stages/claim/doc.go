// Package claim is the first stage of a pipeline: it claims work items from a
// queue or a one-shot input and is the only one that acknowledges them or gives
// them back.
//
// What comes in: a URL, and the drivers that main was built with. What goes
// out: a pipeline.Source. The package knows no driver; each is a value of
// pipeline.QueueDriver in a folder of its own and keeps the protocol of
// spec/claim-protocol.md: queues (sqlite) all of it, which claimtest.Exercise
// checks, sources of one process (file, stdin, dir, http, cron) what of it means
// anything without a store behind them; they share internal/local.
//
// An item whose body is too large for a queue refers to an object (bodies.go):
// the stage fetches it between the source's claim and everybody else, so that no
// stage and no receipt knows the difference.
//
//	claim:
//	  from: sqlite:var/queue.db
//	  queue: pages
//	  lease: 30s
package claim
