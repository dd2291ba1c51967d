// Package claimmodel explores the claim protocol (spec/claim-protocol.md) state
// by state: workers, a reaper, producers and an operator take their steps in
// every order, with crashes, answers that are lost, and a clock that may tick at
// any moment. Explore returns the number of states, or the shortest way to one
// in which an invariant of the protocol is broken.
//
// Each condition of the protocol is a Guard that can be left out. With all of
// them nothing is broken; without any one of them the exploration finds a bug
// that a real system had. The test asserts both, and writes the table of guards
// in spec/claim-protocol.md.
//
// The space is finite without a bound on time or on the number of steps: times
// are kept as what is left of them, and of a token only whether it is still its
// item's, because that is all that the protocol compares. Attempts are bounded:
// a worker gives an item back at its cost only so often (maxAttempts+1).
//
// In the model a claim has two steps, as in every driver: to find an item, and
// to take it. All conditions must hold in the second. One world (settle.go) is that
// of a driver whose engine writes one document at a time, where whose turn a key is
// stands in the store: there passing it on, and a retry, have steps of their own.
// What is durable is not part of it: the drivers' crash tests look for that.
package claimmodel
