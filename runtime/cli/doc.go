// Package cli is the command line of Waybill.
//
// In: the parts that main joined (Parts) and an argument list. Out: results on
// standard output, everything else on standard error, and an exit code that
// scripts may rely on:
//
//	0  ok
//	1  items failed: dead letters, receipts that do not verify, corrupt objects
//	2  a problem in a file or on the command line, or something that it names
//	   is missing
//	3  interrupted
//	4  internal error, or a queue, store or registry that does not answer: the
//	   same command may succeed later
//
// With --json every command prints machine-readable output, one object or one
// object per line; without it, text for people, coloured only on a terminal.
// Each command is one file. The package knows stages, kernels and browsers only
// through Parts, so that a custom binary with other stages is a copy of
// cmd/waybill/main.go.
package cli
