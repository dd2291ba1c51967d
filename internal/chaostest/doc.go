// Package chaostest runs real processes of the program on shared queues while
// things break, and checks what is left. All of it is tests.
//
// What comes in: the built program, an engine (engine_*_test.go) and a seed.
// What goes on: a producer enqueues items (producer_test.go), four processes of
// `waybill run` work on them (crew_test.go), every second one of them is killed
// with SIGKILL and replaced, and between times something else breaks
// (nemesis_test.go): connections are cut, slowed down or go dead (proxy_test.go),
// a process is frozen beyond its leases, the engine or one of its nodes is killed
// and started again. A sampler adds up the queue all the while (sampler_test.go).
//
// What a process does is seen from outside: its items go to a ledger over HTTP
// (ledger_test.go), with the fencing token of the claim that they came from. The
// ledger has one clock for all, a counter.
//
// # What must hold
//
// A queue gives at-least-once processing and exactly one outcome, so that an item
// may well be executed twice, and two executions may overlap: a process that was
// cut off cannot know yet that its lease is gone. What may not happen, and what
// check_test.go looks for when the queue is empty, is this:
//
//   - lost: an item whose enqueue was confirmed is not there, or has not ended
//   - twice: an id is there more than once
//   - outcome: a done item's outcome is not that of an execution that was answered
//     under the item's last token. The digest in the queue is that of a body with
//     the token in it, so an acknowledgement with a stale token would be seen
//   - token: an execution has a greater token than its item, or a token was
//     executed by two processes, or by one at two places at a time
//   - order: of two items of a key the younger one is executed, by whomever, before
//     the execution of the older one that was acknowledged has ended
//   - stolen: executions of one item overlap, and the history does not say that the
//     lease of the one with the smaller token expired
//   - unexplained: an item was claimed more often than its history and its end
//     account for
//   - attempts: an item was executed more often than it may be, or is dead before
//   - stuck: when nothing is in the way any more, an enqueue is still not confirmed
//     after half a minute of tries, or no item has ended for a minute (lost)
//   - sum: enqueued = ready + leased + done + dead did not hold at some sample, a
//     count that only grows shrank, or the queue has other items than were enqueued
//   - crash: a process ended by a bug of its own
//
// The sizes are those of `make test`; WAYBILL_CHAOS=30m runs rounds of 20,000
// items for that long. -chaos.seed repeats the faults of a round: the same ones in
// the same order; how they meet the work is up to the machine.
package chaostest
