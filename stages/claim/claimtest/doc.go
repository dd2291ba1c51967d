// Package claimtest is the conformance suite of the claim protocol
// (spec/claim-protocol.md). Every queue driver runs it:
//
//	func TestMain(m *testing.M) { os.Exit(claimtest.Main(m, reopen)) }
//	func TestQueue(t *testing.T) { claimtest.Exercise(t, newStore) }
//	func TestCrashPoints(t *testing.T) { claimtest.CrashPoints(t, newStore, openWithPoints) }
//
// What comes in: a way to open queues of a fresh store and to move its clock.
// What goes out: failed tests that name the broken rule. It uses nothing of a
// driver but the interfaces of package pipeline and what Store says.
//
// Each file has one part of the contract; speed.go is beside it: what a driver takes,
// and its engine alone, for make bench. model.go compares random operations
// with the simplest thing that could be a queue; crash.go kills processes
// somewhere in their work; points.go kills one between every two of its
// driver's writes. For that a driver has an unexported hook, a func(point string)
// that is nil in production, and its test a function like
//
//	func openWithPoints(location string, o pipeline.QueueOptions, point func(string)) (pipeline.Queue, error) {
//		return driver.Driver(driver.WithPoints(point)).Open(context.Background(), location, o) // WithPoints: export_test.go
//	}
//
// The driver calls the hook from whichever goroutine writes: before the first
// write of a call, between any two, and after the last, before the caller has
// its answer; each open and each repair of half-done calls counts too. The name
// it gives ("ack: event written") is only for the report.
package claimtest
