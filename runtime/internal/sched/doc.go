// Package sched is the carrier scheduler: a fixed number of goroutines, each of
// which walks one item through all stages to its end.
//
// There is no channel between stages. What comes in is a Flight (an item and
// its place on the line); what goes out is the error of the stage that ended
// the walk, or nil. On the way a flight may have to wait for four things, and
// each is one type here:
//
//   - Permit: a stage that takes fewer items than there are carriers. One
//     compare-and-swap when it is free, a heap by priority and age when not.
//   - Turn: a place in a Ring before the first stage that wants the order of
//     the claims; a family of children shares its parent's place.
//   - Collector: company for a stage that is cheaper in batches.
//   - a retry in place, which the engine decides on (Line.Again).
//
// Quiet counts the carriers that are not waiting for any of these, so that a
// batch is closed as soon as nobody is left who could join it.
//
// The package knows nothing of sources, outcomes, policies or telemetry; it
// calls a function per stage, and one guard around all of them makes a panic the
// failure of the stage that it happened in. Nothing is allocated for an item on
// the way, and no clock is read. Waiting ends with the flight's context.
package sched
