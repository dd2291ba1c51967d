package gridfs

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// orphanAfter is how old an upload must be to count as abandoned.
	orphanAfter = time.Hour
	// abandoned begins the names of files that nobody may finish any more.
	abandoned = "abandoned/"
)

// progress is the only document of the sweeps collection: uploads with ids below
// until have been looked at. So a sweep costs what was stored since the last one,
// not what there is.
type progress struct {
	Until bson.ObjectID `bson:"until"`
}

var progressID = bson.M{"_id": "chunks"}

// sweep removes the chunks of uploads that began more than an hour ago, by the
// server's clock, and never got their file.
func (s *Store) sweep(ctx context.Context) error {
	var last progress
	err := s.sweeps.FindOne(ctx, progressID).Decode(&last)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return err
	}
	until := firstID(s.conn.Now().Add(-orphanAfter))
	// The first chunk is written first: an upload without it has none.
	uploads := bson.M{"files_id": bson.M{"$gte": last.Until, "$lt": until}, "n": 0}
	cursor, err := s.chunks.Find(ctx, uploads, options.Find().SetProjection(bson.D{{Key: "files_id", Value: 1}}))
	if err != nil {
		return err
	}
	if err := s.sweepAll(ctx, cursor); err != nil {
		return err
	}
	_, err = s.sweeps.UpdateOne(ctx, progressID, bson.M{"$max": progress{until}}, options.UpdateOne().SetUpsert(true))
	if mongo.IsDuplicateKeyError(err) { // somebody else made it, and has seen as much
		return nil
	}
	return err
}

// firstID is not above any id of that second or a later one.
func firstID(at time.Time) (id bson.ObjectID) {
	binary.BigEndian.PutUint32(id[:4], uint32(at.Unix()))
	return id
}

// sweepAll looks at the uploads page by page.
func (s *Store) sweepAll(ctx context.Context, cursor *mongo.Cursor) (err error) {
	defer func() { err = errors.Join(err, closeCursor(ctx, cursor)) }()
	var page []bson.ObjectID
	for cursor.Next(ctx) {
		if page = append(page, cursor.Current.Lookup("files_id").ObjectID()); len(page) == pageSize {
			if err := s.abandon(ctx, page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	if err := cursor.Err(); err != nil || len(page) == 0 {
		return err
	}
	return s.abandon(ctx, page)
}

// abandon deletes the chunks of those uploads that have no file. Its writer may be
// alive and only slow, and finish between a look and the delete. Therefore a file
// without bytes takes the upload's id first, and keeps it: an id is there once, so
// from then on the writer cannot finish, and is told so.
func (s *Store) abandon(ctx context.Context, uploads []bson.ObjectID) error {
	finished, err := s.finished(ctx, uploads)
	if err != nil {
		return err
	}
	var graves []any
	var left []bson.ObjectID
	now := bson.NewDateTimeFromTime(s.conn.Now())
	for _, id := range uploads {
		if !finished[id] {
			left = append(left, id)
			graves = append(graves, file{ID: id, ChunkSize: mongo.DefaultGridFSChunkSize, UploadDate: now, Filename: abandoned + pipeline.Digest(id.Hex())})
		}
	}
	if len(left) == 0 {
		return nil
	}
	if _, err := s.files.InsertMany(ctx, graves, options.InsertMany().SetOrdered(false)); err != nil && !onlyTaken(err) {
		return err
	}
	if finished, err = s.finished(ctx, left); err != nil {
		return err
	}
	orphans := []bson.ObjectID{}
	for _, id := range left {
		if !finished[id] {
			orphans = append(orphans, id)
		}
	}
	_, err = s.chunks.DeleteMany(ctx, bson.M{"files_id": bson.M{"$in": orphans}})
	return err
}

// finished tells the uploads that have a file of their own.
func (s *Store) finished(ctx context.Context, uploads []bson.ObjectID) (map[bson.ObjectID]bool, error) {
	cursor, err := s.files.Find(ctx, bson.M{"_id": bson.M{"$in": uploads}}, options.Find().SetProjection(entryFields))
	var entries []entry
	if err == nil {
		err = cursor.All(ctx, &entries)
	}
	finished := map[bson.ObjectID]bool{}
	for _, e := range entries {
		id, _ := e.ID.ObjectIDOK()
		finished[id] = e.Filename != abandoned+pipeline.Digest(id.Hex())
	}
	return finished, err
}
