// Package pipelinetest tests stages and what drives them.
//
// Exercise is the conformance suite that every stage runs: it goes in with a
// definition and a small config, and comes out green only if the stage keeps
// the contract of pipeline.Stage, pipeline.Source or pipeline.Distributor.
//
//	func TestConformance(t *testing.T) {
//		pipelinetest.Exercise(t, store.Def(), pipelinetest.Config("to: file:objects"))
//	}
//
// Source is a queue in memory with leases and fencing tokens, and Recorder a
// stage that keeps what it sees; both are fakes for tests of engines, and both
// run the same suite as the real things. Item and Env make what a stage needs.
//
// The package knows no real stage and no engine.
package pipelinetest
