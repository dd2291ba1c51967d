// Package claimtest is the conformance suite of the claim protocol
// (spec/claim-protocol.md). Every queue driver runs it:
//
//	func TestMain(m *testing.M) { os.Exit(claimtest.Main(m, reopen)) }
//	func TestQueue(t *testing.T) { claimtest.Exercise(t, newStore) }
//
// What comes in: a way to open queues of a fresh store and to move its clock.
// What goes out: failed tests that name the broken rule. It uses nothing of a
// driver but pipeline.Queue.
package claimtest
