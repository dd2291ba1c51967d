// Package pipeline is the vocabulary that every other package speaks: what an
// item is, what stages, sources, queues and object stores promise, and how a
// pipeline file becomes a checked plan.
//
// What comes in: the bytes of a file and the Set of stage definitions that a
// binary has. What goes out: a Plan, or Problems with their exact line and
// column. Nothing here runs a plan; package runtime does, and it sees stages
// only through the interfaces of this package.
//
// The way through the files:
//
//	item.go body.go        Item and its parts
//	stage.go               Stage, Source, Distributor and what they may also be
//	errors.go              Error and its Kind, which decides what becomes of an item
//	queue.go objects.go    what queue and object store drivers implement
//	budget.go digest.go    what an item may spend; the names of content
//	def.go set.go          a kind of stage as a plain value; the values of a binary
//	load.go load_stage.go  file -> Plan; plan.go the result
//	units.go               durations, sizes, counts and ranges in configs
//	expr.go template.go    expressions over the item; expr_funcs.go what they may call
//	schema.go reference.go JSON Schema and reference page from the same config types
//	problem.go codes.go    findings and their stable names
//
// A config type is a struct with yaml tags. The same struct gives the typed
// value, the problems, the schema and the reference, so that these cannot
// disagree; internal/node walks it. There is one loader: check, plan, test and
// run all call Load, so what one accepts the others accept.
//
// The package must not know any stage, driver, browser or kernel, nor start
// goroutines or read the clock.
package pipeline
