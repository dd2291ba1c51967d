// Package stdin claims the lines of standard input.
//
// What comes in: stdin, with one item per line in the format of `waybill
// enqueue`, or stdin?format=lines (each line is a text), or stdin?format=jsonl
// (each line is a JSON value). What goes out: a pipeline.Source that is read
// once and says io.EOF when the input has ended and every item has.
//
//	producer | waybill run pipeline.yaml
//
// A line is read when there is room for it: at most 32 wait besides those in
// flight (and besides up to 1,024 that wait for their key or their time), so a
// producer that is faster than the pipeline waits in its write.
//
// There is no queue to go back to. An item that fails is tried again as the
// pipeline says, within this run; one that is dead, or has not ended when the
// run is stopped, is named in the log and gone with the process. With
// ?dead=failed.jsonl the dead are kept in a file, ready to be enqueued.
package stdin
