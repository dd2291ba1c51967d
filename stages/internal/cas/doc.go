// Package cas keeps objects under the digest of their bytes. The stages store
// and witness share it.
//
// What comes in is a batch of blobs; what goes out is the promise that each of
// them is durable, and was read back intact, on as many places as were asked
// for. A place is a folder in the OCI image layout:
//
//	oci-layout              {"imageLayoutVersion":"1.0.0"}
//	index.json              an index without manifests: blobs need no reference
//	blobs/sha256/<64 hex>   the objects, flat
//	ingest/                 temporary files and a lock; nothing else may care
//
// so that tools for OCI registries read it as it is. Further copies on the same
// disk are places of their own below replicas/<n>, each a whole layout; they
// guard against a damaged file, not against a lost disk, for which places on
// several disks are listed.
//
//   - Layout is one place. Put writes temporary files, flushes them together,
//     renames them and flushes the folder, then reads them back.
//   - Replicated spreads objects over places and counts acknowledged copies.
//   - Open makes either from URLs such as file:var/objects.
//   - Canonical gives JSON the one spelling that its address is computed from.
//
// Objects never change. An object that is already there is read and checked,
// which costs far less than a flush. If its bytes are wrong, Put fails with
// ErrCorrupt: repairing is for another command, and neither Get nor Check ever
// writes. A file appears under its final name only when it is whole and on disk.
//
// The package knows objects and folders, not items, stages or receipts.
package cas
