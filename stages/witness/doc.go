// Package witness is the stage that ends an item with a signed receipt.
//
//   - witness: { log: file:var/log, key: file:var/keys/witness.key }
//
// What comes in is an item whose outputs are stored; what goes out is the same
// item with item.Receipt set, and on disk
//
//	<log>/objects/            statements, inputs, pipelines and error records by digest
//	<log>/checkpoint, tile/   the log, see internal/translog
//	<log>/receipts/<queue>/<item>.tlog-proof
//
// The statement is an in-toto Statement v1 with the SLSA provenance v1 predicate;
// spec/receipt.md says what stands in each field. Its canonical bytes are the
// entry in the log. The receipt file holds the statement too, so that it can be
// checked with nothing but the verifier key.
//
// Each step is durable before the next one starts, and the engine acknowledges the
// item only after the last:
//
//	outputs (stage store) -> statement -> entry and tiles -> head -> checkpoint -> receipt
//
// A crash anywhere repeats at most the last batch. An item that is witnessed again
// has several entries in the log and one receipt: the latest, whose statement's
// digest the queue's acknowledgement holds. A carrier that lost its lease cannot
// replace the receipt of the one that holds it.
//
// Items that fail for good are witnessed too (pipeline.Committer), with a record
// of the error as their subject.
//
// Verifier checks all of this offline and names the link that broke; it never
// writes. The package knows objects and items, not queues or engines.
package witness
