// Command bench measures what the README promises and writes it to a file.
//
//	go run ./bench -out bench/results.json
//
// Everything is CPU time (getrusage, user and system, all threads and children),
// because wall time on a shared machine measures the neighbours. Designs that
// are compared run interleaved, in rounds, and the median of the rounds counts.
// Beside each comparison stands an A/A control: the same design as two series,
// whose ratio would be 1 on a machine without noise.
//
// The scheduler's benchmarks live with their code (runtime/internal/feed,
// runtime); this program builds their test binaries and runs them round by
// round. Start and check are measured on the built command.
package main
