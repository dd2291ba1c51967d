package gridfs

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// pageSize bounds how many objects one command names: the list is a document,
	// and documents have 16 MiB at most.
	pageSize = 1000
	// pageBytes bounds how many bytes are on their way at once, single objects
	// aside: the driver holds a second copy of them. It is about one message.
	pageBytes = 48 << 20
	// tidyWithin bounds the removal of own chunks, which the caller's end does not
	// stop.
	tidyWithin = 15 * time.Second
)

// Put implements pipeline.Objects; copies is 1, whatever the members of the replica
// set are. A page of a batch takes six round trips, and a seventh if somebody else
// stored one of its objects meanwhile.
func (s *Store) Put(ctx context.Context, blobs []pipeline.Blob) (int, error) {
	if !s.writable {
		return 0, pipeline.Fail("read-only", "object store %s is open for reading only", s.place)
	}
	distinct, err := unique(blobs)
	if err != nil {
		return 0, err
	}
	for _, page := range pages(distinct) {
		if err := s.put(ctx, page); err != nil {
			return 0, s.fail("put", err)
		}
	}
	return 1, nil
}

// unique returns each object once, after checking that it is what it is called.
func unique(blobs []pipeline.Blob) (distinct []pipeline.Blob, err error) {
	seen := make(map[pipeline.Digest]bool, len(blobs))
	for _, b := range blobs {
		if seen[b.Digest] {
			continue
		}
		seen[b.Digest] = true
		if got := pipeline.DigestOf(b.Data); got != b.Digest {
			return nil, pipeline.Fail("corrupt", "object %s handed over with the content of %s: %w", b.Digest, got, pipeline.ErrCorrupt)
		}
		distinct = append(distinct, b)
	}
	return distinct, nil
}

// pages cuts a batch into parts that are stored one after the other.
func pages(blobs []pipeline.Blob) (all [][]pipeline.Blob) {
	start, size := 0, 0
	for i, b := range blobs {
		if i > start && (i-start == pageSize || size+len(b.Data) > pageBytes) {
			all = append(all, blobs[start:i])
			start, size = i, 0
		}
		size += len(b.Data)
	}
	if start < len(blobs) {
		all = append(all, blobs[start:])
	}
	return all
}

func (s *Store) put(ctx context.Context, blobs []pipeline.Blob) error {
	there, err := s.find(ctx, blobs)
	if err != nil {
		return err
	}
	var missing []pipeline.Blob
	for _, b := range blobs {
		if _, ok := there[b.Digest]; !ok {
			missing = append(missing, b)
		}
	}
	if len(missing) > 0 {
		mine, err := s.upload(ctx, missing)
		if err != nil {
			return err
		}
		if there, err = s.find(ctx, blobs); err != nil {
			return err
		}
		s.discardLosers(ctx, mine, there)
	}
	return s.readBack(ctx, blobs, there)
}

// find returns the files of objects.
func (s *Store) find(ctx context.Context, blobs []pipeline.Blob) (map[pipeline.Digest]entry, error) {
	names := make([]pipeline.Digest, len(blobs))
	for i, b := range blobs {
		names[i] = b.Digest
	}
	cursor, err := s.files.Find(ctx, bson.M{"filename": bson.M{"$in": names}}, options.Find().SetProjection(entryFields))
	var entries []entry
	if err == nil {
		err = cursor.All(ctx, &entries)
	}
	there := make(map[pipeline.Digest]entry, len(entries))
	for _, e := range entries {
		there[e.Filename] = e
	}
	return there, err
}

// upload writes the chunks and then, in one command, the files, and returns the ids
// under which it tried: each name has one file, which may be somebody else's. The
// ids carry the server's time, so that a sweep knows how old they are.
func (s *Store) upload(ctx context.Context, blobs []pipeline.Blob) (mine map[pipeline.Digest]bson.ObjectID, err error) {
	if err := s.conn.SyncClock(ctx); err != nil {
		return nil, err
	}
	now := s.conn.Now()
	mine = make(map[pipeline.Digest]bson.ObjectID, len(blobs))
	var files, chunks []any
	for _, b := range blobs {
		id := bson.NewObjectIDFromTimestamp(now)
		f, parts := newFile(id, b, bson.NewDateTimeFromTime(now))
		mine[b.Digest], files = id, append(files, f)
		for _, c := range parts {
			chunks = append(chunks, c)
		}
	}
	if len(chunks) > 0 {
		if _, err := s.chunks.InsertMany(ctx, chunks); err != nil {
			s.discardLosers(ctx, mine, nil) // no file was tried: all of them
			return nil, err
		}
	}
	// After another error a file may be there or come yet: its chunks must stay.
	if _, err := s.files.InsertMany(ctx, files, options.InsertMany().SetOrdered(false)); err != nil && !onlyTaken(err) {
		return nil, err
	}
	return mine, nil
}

// onlyTaken reports whether an unordered insert failed in nothing but ids and names
// that are taken.
func onlyTaken(err error) bool {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return false
	}
	return !slices.ContainsFunc(bulk.WriteErrors, func(e mongo.BulkWriteError) bool { return e.Code != mongoconn.CodeDuplicateKey })
}

// discardLosers deletes the chunks of files that did not become the object. It need
// not succeed: a sweep finds what it leaves.
func (s *Store) discardLosers(ctx context.Context, mine map[pipeline.Digest]bson.ObjectID, there map[pipeline.Digest]entry) {
	var lost []bson.ObjectID
	for d, id := range mine {
		if !there[d].is(id) {
			lost = append(lost, id)
		}
	}
	if len(lost) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyWithin)
	defer cancel()
	_, _ = s.chunks.DeleteMany(ctx, bson.M{"files_id": bson.M{"$in": lost}})
}

// closeCursor ends a cursor on the server, also if the caller has gone.
func closeCursor(ctx context.Context, c *mongo.Cursor) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyWithin)
	defer cancel()
	return c.Close(ctx)
}

// readBack compares all objects with what is stored.
func (s *Store) readBack(ctx context.Context, blobs []pipeline.Blob, there map[pipeline.Digest]entry) error {
	rest := make(map[string][]byte, len(blobs)) // what is still to come, by id
	var ids []bson.RawValue
	for _, b := range blobs {
		e, ok := there[b.Digest]
		if !ok {
			return pipeline.Again("store", "%s", s.at(b.Digest, errors.New("it was removed while it was written")))
		}
		rest[idKey(e.ID)] = b.Data
		ids = append(ids, e.ID)
	}
	differs := map[string]bool{}
	err := s.eachChunk(ctx, ids, func(key string, data []byte) {
		if after, ok := bytes.CutPrefix(rest[key], data); ok {
			rest[key] = after
		} else {
			differs[key] = true
		}
	})
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if key := idKey(there[b.Digest].ID); differs[key] || len(rest[key]) > 0 {
			return s.at(b.Digest, pipeline.ErrCorrupt)
		}
	}
	return nil
}
