// Package telemetry turns a run into spans, metrics and log attributes.
//
// Spans go out by OTLP over HTTP as the standard OTEL_* variables say, and
// nothing is exported when none is set. The model:
//
//   - An item's trace begins where the item is created: a PRODUCER span
//     `send {queue}` (InjectEnqueue), whose context travels in the queue.
//   - A run has a trace of its own, with a CLIENT span `receive {pipeline}` per
//     claim that links to the items, to 128 at most.
//   - Each attempt is a CONSUMER span `process {pipeline}`: a child of the
//     item's creation, linked to the run; and each stage an INTERNAL span below
//     it, named for the stage. An item that waited for more than an hour begins
//     a new trace that links to the old one.
//   - A failure sets status and error.type, always both. Skipped and cancelled
//     are results, not errors. A failure that a retry in place mended marks the
//     stage's span, not the item's.
//
// Sampling is decided once per item: an item that is not sampled has no *Item,
// and all methods of a nil *Item, *Span, *Run and *Telemetry do nothing.
//
// Metrics are read from the engine's own counters when Prometheus asks. Item
// ids, URLs and digests are never labels. Spans that were lost are counted.
package telemetry
