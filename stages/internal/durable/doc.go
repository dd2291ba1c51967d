// Package durable writes files so that a crash at any moment leaves each of
// them either as it was or complete, never in between.
//
// What comes in is a batch of paths and their bytes; what is left behind, once
// Write has returned, survives the loss of power as far as the disk keeps its
// word. The order inside a batch is
//
//	temporary files -> fsync of all -> rename of all -> fsync of the folders
//
// so that the cost of waiting for the disk is paid once per batch. A small batch is
// flushed by fsyncs side by side, which a journalling file system commits
// together; a large one by a single syncfs, which also waits for what strangers
// have written to the same disk, but beats hundreds of fsyncs many times over.
//
// Lines is for files that only grow: many processes may append to one, each line
// is whole, and what a crash tore off is cut away without touching anything that
// somebody else wrote.
//
// The package knows nothing of objects, logs or items. What it knows of pipelines
// is the kind of an error: WriteError says that a full disk is not the item's
// fault.
package durable
