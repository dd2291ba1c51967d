// Command bench measures what the README promises and writes it to a file.
//
//	go run ./bench -out bench/results.json
//
// docs/benchmarks.md has its tables from that file (go generate ./bench).
//
// Everything is CPU time (getrusage, user and system, all threads and children),
// because wall time on a shared machine measures the neighbours; only the rates of
// the queues are wall time. Everything that
// is compared runs interleaved, in rounds, and the median of the rounds counts.
// Every figure is measured twice per round; the ratio of the two series (A/A)
// would be 1 on a machine without noise. Figures come in a fixed order; those
// with a target say whether it is met. A machine under load is slower as a whole:
// then the ratio to the interface calls of the same run says more than
// nanoseconds do.
//
// The benchmarks of scheduler, engine, kernels and queues live with their code
// (runtime/internal/feed, runtime, plugins/internal/host, stages/claim); this program
// builds their test binaries and runs them round by round. A driver's are two:
// BenchmarkQueue, and BenchmarkFloor for its engine alone; stages/claim/claimtest has
// what they share. MongoDB's server is a process of its own, whose CPU time stands
// apart. Start and check are measured on the built command. Whatever fails ends the
// run with an error.
package main

//go:generate go run . -out results.json -docs ../docs/benchmarks.md
