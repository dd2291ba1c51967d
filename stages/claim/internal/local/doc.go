// Package local is what sources of one process have in common: those that read
// an input (file, stdin, dir), listen (http) or tick (cron), and have no queue
// behind them.
//
// What comes in: Records, which a driver makes of its input, one after another
// and without waiting. What goes out: a pipeline.Source that keeps the claim
// protocol as far as it means anything without a store: one attempt at a time,
// fencing tokens that grow, keys in order, delays, deadlines, attempts that are
// used up, an acknowledgement that can be repeated. Claims do not expire, for
// the process that claimed is the only one there is.
//
//	source.go   the window: what was read and has not ended
//	record.go   what a driver hands over, and what the window keeps of it
//	lines.go    records out of lines: items, JSON values, plain text
//	journal.go  the checkpoint: what became of the items, across processes
//	compact.go  how a checkpoint of an endless source stays small
//	letters.go  the dead letters
//	params.go   the parameters of a URL
//
// A source reads on only when an item is claimed, and the engine claims only for
// a free slot: so every input is read no faster than it is worked on.
package local
