// Package dir watches a folder and claims one item per file that comes into it.
//
// What comes in: dir:inbox?glob=*.html. What goes out: a pipeline.Source that
// never ends, whose items have a file's content as their body and its name and
// path in meta, as those of file: globs have.
//
//	?glob=*.html     names that count; default: all
//	?move=done       where a file goes when its item has ended; default: it stays
//	?failed=failed   where it goes when the item is dead; default: where move says
//	?poll=1s         how often the folder is read
//
// Folders without a leading slash are inside the watched one for move and failed,
// and beside the pipeline file for dir: itself. They must be on one file system.
//
// A file is taken when two polls in a row saw the same size and time of change,
// so that one that is still being written is left alone. Hidden files and those
// that end in .tmp, .part or ~ never are: who writes slowly writes to such a name
// and renames.
//
// With a checkpoint, a file that has ended is not taken again by a later run,
// also if it was only touched: what counts is its content. New content under an
// old name is a new item. What has left the folder is forgotten. Without a
// checkpoint (and without move) each run begins with all files.
//
// An item's id is the file's name and the beginning of its content's digest,
// "a.html@3f2a9c0d1e5b". One process watches a folder; several share a queue.
package dir
