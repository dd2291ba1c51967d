// Package samples runs records with known answers through a kernel: the samples
// of its manifest and the golden cases beside it.
//
// What comes in: a compiled kernel and a sample. What goes out: the kernel's
// answer in the same terms as the sample's, its fuel, and, where they differ, a
// text for people that says in which operation and at which byte. It reads and
// rewrites files of cases. It does not know how a kernel is built, and prints
// nothing.
//
//   - run.go: a record through the host; answer.go: its answer
//   - compare.go, diff.go: what differs
//   - files.go: golden cases
package samples
