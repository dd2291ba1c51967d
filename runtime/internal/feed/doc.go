// Package feed hands items to carriers. Work is pulled: a carrier that is free
// asks for the next flight, and only then, if nothing is waiting, are more items
// claimed, never more than there are free carriers (and 32 at a time), so that
// a lease is only held for an item that is being worked on. One carrier claims
// at a time.
//
// What comes in is a Source's items and the children that stages emit; what
// goes out is flights, in this order:
//
//   - children before new claims, so that families end soon;
//   - if a stage wants the order of the claims: the oldest flight that may run;
//   - else the carrier's own lanes: among the first 16 that may run one whose
//     key the carrier handled last, or by priority with every 8th the oldest;
//   - else the oldest of the longest lane.
//
// A flight may run unless another with its lane and key does.
//
// Nobody is woken for nothing: a carrier that takes a flight wakes one more if
// flights are left, and a carrier with nothing to do sleeps until the next poll, or
// until the source says that a claim may find something (Wake).
// While flights take no longer than waking a carrier does, one carrier does all
// the work, takes what it claimed without the lock, and the others sleep
// (brisk.go).
//
// The feed ends when it is stopped, when the source says io.EOF, or, if asked,
// when the source is empty: nothing ready, delayed or leased by anybody.
//
// The package does not know what stages are, and never acknowledges anything.
package feed
