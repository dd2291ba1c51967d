// Package translog is an append-only, tamper-evident log in a folder, in the
// static layout of C2SP tlog-tiles (RFC 6962 hashing, SHA-256), so that any file
// server can publish it and any tlog client can read it:
//
//	checkpoint               C2SP tlog-checkpoint: origin, size, root, signature
//	witness.vkey             the verifier key, one line
//	tile/<L>/<N>[.p/<W>]     hashes
//	tile/entries/<N>[.p/<W>] entries, each behind its length as a uint16
//	.state/                  lock and temporary files; private
//
// What comes in is a batch of entries of at most 65,535 bytes each; what goes out
// is one Proof per entry under one new checkpoint (one Ed25519 signature for the
// batch). Every step is durable before the next one starts:
//
//	entries and tiles -> head, beside the key -> checkpoint -> proofs
//
// The head is the last checkpoint that the key signed for this log. It is written
// beside the key before anybody can see the checkpoint, so that no crash and no
// restored backup can make the key sign two roots for one size:
//
//   - head ahead of the checkpoint, and the tiles for it are here: a crash came
//     between the two. Open publishes the checkpoint.
//   - head ahead, and its tiles are not here: the log was rolled back. Open refuses.
//   - head and checkpoint of one size with two roots: a fork. Open refuses.
//
// Entries and tiles beyond the checkpoint never counted; the next batch removes
// them. Several processes may append to one log: each batch holds a file lock and
// first takes notice of what others appended.
//
// View reads a whole log for verification and names each broken link. Nothing in
// it writes. The package knows nothing of items, statements or objects.
package translog
