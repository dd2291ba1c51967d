package gridfs

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

var entryFields = bson.D{{Key: "filename", Value: 1}, {Key: "length", Value: 1}}

// Get implements pipeline.Objects.
func (s *Store) Get(ctx context.Context, d pipeline.Digest) ([]byte, error) {
	data, err := s.read(ctx, d)
	if err == nil && pipeline.DigestOf(data) != d {
		err = s.at(d, pipeline.ErrCorrupt)
	}
	if err != nil {
		return nil, s.fail("get", err)
	}
	return data, nil
}

// read returns the bytes that are there, whatever they are.
func (s *Store) read(ctx context.Context, d pipeline.Digest) (data []byte, err error) {
	e, err := s.lookup(ctx, d)
	if err != nil {
		return nil, err
	}
	err = s.eachChunk(ctx, []bson.RawValue{e.ID}, func(_ string, part []byte) { data = append(data, part...) })
	return data, err
}

func (s *Store) lookup(ctx context.Context, d pipeline.Digest) (e entry, err error) {
	err = s.files.FindOne(ctx, bson.M{"filename": d}, options.FindOne().SetProjection(entryFields)).Decode(&e)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = s.at(d, pipeline.ErrNotFound)
	}
	return e, err
}

// eachChunk passes the chunks of files to visit, those of one file in their order.
// data is valid until visit returns.
func (s *Store) eachChunk(ctx context.Context, ids []bson.RawValue, visit func(key string, data []byte)) (err error) {
	order := bson.D{{Key: "files_id", Value: 1}, {Key: "n", Value: 1}}
	cursor, err := s.chunks.Find(ctx, bson.M{"files_id": bson.M{"$in": ids}}, options.Find().SetSort(order))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCursor(ctx, cursor)) }()
	for cursor.Next(ctx) {
		_, data, _ := cursor.Current.Lookup("data").BinaryOK() // what is none counts as no bytes
		visit(idKey(cursor.Current.Lookup("files_id")), data)
	}
	return cursor.Err()
}

// Has implements pipeline.Objects.
func (s *Store) Has(ctx context.Context, d pipeline.Digest) (bool, error) {
	_, err := s.lookup(ctx, d)
	if errors.Is(err, pipeline.ErrNotFound) {
		return false, nil
	}
	return err == nil, s.fail("has", err)
}

// List implements pipeline.Objects. Files that are not named like a digest are not
// objects and are left out.
func (s *Store) List(ctx context.Context, yield func(pipeline.ObjectInfo) bool) error {
	return s.fail("list", s.list(ctx, yield))
}

func (s *Store) list(ctx context.Context, yield func(pipeline.ObjectInfo) bool) (err error) {
	digests := bson.M{"filename": bson.M{"$gte": "sha256:", "$lt": "sha256;"}} // ";" follows ":"
	cursor, err := s.files.Find(ctx, digests, options.Find().SetSort(bson.D{{Key: "filename", Value: 1}}).SetProjection(entryFields))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeCursor(ctx, cursor)) }()
	for cursor.Next(ctx) {
		var e entry
		if err := cursor.Decode(&e); err != nil {
			return err
		}
		d, err := pipeline.ParseDigest(string(e.Filename))
		if err == nil && !yield(pipeline.ObjectInfo{Digest: d, Size: e.Length, Place: s.place}) {
			return nil
		}
	}
	return cursor.Err()
}

// Check implements pipeline.Objects: a database is one place, whose members the
// server compares.
func (s *Store) Check(ctx context.Context, d pipeline.Digest) ([]pipeline.ObjectCheck, error) {
	c := pipeline.ObjectCheck{ObjectInfo: pipeline.ObjectInfo{Digest: d, Place: s.place}, State: cas.StateOK}
	data, err := s.read(ctx, d)
	switch {
	case errors.Is(err, pipeline.ErrNotFound):
		c.State = cas.StateMissing
	case err != nil:
		return nil, s.fail("check", err)
	default:
		c.Size = int64(len(data))
		if found := pipeline.DigestOf(data); found != d {
			c.State, c.Found = cas.StateCorrupt, found
		}
	}
	return []pipeline.ObjectCheck{c}, nil
}
