// Package store is the stage that keeps results: it writes an item's body and
// artifacts to an object store under their digests and notes them in
// item.Outputs, from where they become the subjects of the item's receipt.
//
//   - store: { to: file:var/objects, copies: 2 }
//
// What comes in is an item with a body and artifacts; what goes out is the same
// item with one Output per thing stored, each durable on as many distinct places
// as the file asks for and read back. Otherwise the stage fails and Outputs is
// unchanged.
//
//   - Items that are inside at the same time are written together, with one
//     flush (pipeline.Batcher). If a batch fails, its items are tried one by one,
//     so that a damaged object fails only the items that need it.
//   - JSON bodies are stored in canonical form (RFC 8785 with NFC), so that equal
//     values have equal addresses; everything else is stored as it is.
//   - copies with a single place makes replicas below it, on the same disk. They
//     guard against damaged files. To survive a lost disk, list places:
//     to: [file:/disk1/objects, file:/disk2/objects].
//
// The objects themselves, and the drivers behind the URLs, are the business of
// stages/internal/cas (folders) and stages/internal/gridfs (MongoDB). The package
// knows nothing of receipts or logs.
package store
