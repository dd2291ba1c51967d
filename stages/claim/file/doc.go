// Package file reads one-shot inputs: JSON Lines, CSV, and folders of files.
//
// What comes in: file:PATH, relative to the pipeline file. What goes out: a
// pipeline.Source that says io.EOF when everything has ended. It is not a
// queue: one process reads it, nothing can be added, claims do not expire.
//
// Formats, told by the name unless the pipeline says another:
//
//	items  *.jsonl, *.ndjson   lines of `waybill enqueue`: {"id":..,"body":..,"meta":..}
//	jsonl  (only when asked)   any JSON value per line becomes a body
//	lines  (only when asked)   any text per line becomes a body, a JSON string
//	csv    *.csv               the header names the fields of an object of strings
//	files  globs, the rest     a file's content becomes a body; meta has name and path
//
// Items are handed out in the order of the input; priorities do not change it.
// Those of one key run one at a time and in order, as in every queue, and
// delays, deadlines, idempotency keys and attempts mean what they mean there.
// An item without an id is named for its place ("items.jsonl:17", or the
// file's path), so that its name is the same in the next run.
//
// A line that cannot be read does not stop the others. It is handed out condemned,
// with its text as body, and so are items whose deadline passed or whose attempts
// are used up: the engine ends them, with a receipt, as it ends all others. What is
// acknowledged as dead is kept, as lines of `waybill enqueue` in a file of their
// own: CHECKPOINT.dead.jsonl, or INPUT.dead.jsonl without a checkpoint.
//
// With a checkpoint, the source keeps a journal of claims and ends there
// (../internal/local/journal.go): a run that was killed goes on where it stopped,
// and an item that kills its process uses up its attempts.
package file
