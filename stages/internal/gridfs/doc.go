// Package gridfs keeps objects in a GridFS bucket of a MongoDB database, for sites
// that share a database and neither a folder nor S3. It is a driver beside that of
// stages/internal/cas; the stages store and witness, and the commands blob and
// verify, use either.
//
// What comes in is a batch of blobs; what goes out is the promise that a majority
// of the database's members has each of them on disk, and that it was read back
// intact. The collections are those of the GridFS specification
// (https://github.com/mongodb/specifications, source/gridfs), so that mongofiles and
// every driver read them:
//
//	waybill_objects.files   one document per object: filename is the digest,
//	                        metadata.mediaType its media type
//	waybill_objects.chunks  its bytes, 255 KiB each
//	waybill_objects.sweeps  one document: how far sweeps have looked
//
// They are read and written directly, not by the driver's GridFSBucket: that takes a
// buffer of 16 MiB and four round trips for each object, and one goroutine at a time;
// a batch of up to 1,000 objects or 48 MiB takes six round trips here.
//
// # Two writers of one object
//
// A writer inserts chunks under a fresh random id, and then the file with that id,
// which makes the object visible, whole. A unique index on filename decides whose
// file is the object. The other writer deletes its own chunks, compares the object
// with what it wanted to store, and reports success. Nobody ever changes a chunk.
//
// # What a death leaves
//
// Between chunks and file: chunks of an id without a file. Nobody reads them. The
// next process that opens the bucket for writing, when they are an hour old, deletes
// them (sweep.go). Age is the time in the id against the server's clock; a writer
// takes the id's time from the server as well. Lest a writer that was only slow
// finish afterwards, its id is taken first, by an empty file "abandoned/<id>", which
// stays: the writer is refused and tries again under another id.
//
// Between file and reading back: an object that is whole. The next Put of it reads
// it.
//
// # Copies
//
// A bucket is one place and one copy, whatever the members of the replica set: they
// are the database's business, and repairs are as well. Two databases are two places.
package gridfs
