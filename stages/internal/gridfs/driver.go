package gridfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// defaultBucket begins the names of the collections unless the URL says otherwise.
const defaultBucket = "waybill_objects"

// Driver returns the driver of the scheme "mongodb".
//
//	mongodb://a,b,c/jobs?replicaSet=rs0                 the bucket waybill_objects
//	mongodb://a,b,c/jobs?waybill.bucket=results         another
func Driver() pipeline.ObjectDriver { return driver(mongoconn.Settings{}) }

func driver(set mongoconn.Settings) pipeline.ObjectDriver {
	return pipeline.ObjectDriver{
		Scheme: mongoconn.Scheme,
		Doc:    "mongodb://HOST/DB, a GridFS bucket of a database",
		Check: func(url string) (string, error) {
			at, err := parse(url)
			return at.place(), err
		},
		Open: func(ctx context.Context, url, dir string, create bool) (pipeline.Objects, error) {
			s, err := open(ctx, url, dir, create, set)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

// target is a mongodb: URL taken apart.
type target struct {
	mongoconn.Target
	bucket string
}

// parse takes our own option: waybill.bucket.
func parse(url string) (t target, err error) {
	t.bucket = defaultBucket
	t.Target, err = mongoconn.Parse(url, mongoconn.Options{
		"bucket": func(value string) error {
			if value == "" || strings.ContainsAny(value, "$\x00") || strings.HasPrefix(value, "system.") {
				return errors.New("cannot begin the name of a collection")
			}
			t.bucket = value
			return nil
		},
	})
	return t, err
}

// place is what reports call the store.
func (t target) place() string {
	if t.bucket == defaultBucket {
		return t.Shown
	}
	return t.Shown + "?waybill.bucket=" + t.bucket
}

// Store is a bucket of a database. It is safe for concurrent use.
type Store struct {
	conn     *mongoconn.Conn
	place    string
	writable bool
	files    *mongo.Collection
	chunks   *mongo.Collection
	sweeps   *mongo.Collection
}

var _ pipeline.Objects = (*Store)(nil)

func open(ctx context.Context, url, dir string, create bool, set mongoconn.Settings) (*Store, error) {
	at, err := parse(url)
	if err != nil {
		return nil, err
	}
	conn, err := at.Connect("store", dir, set)
	if err != nil {
		return nil, err
	}
	named := func(name string) *mongo.Collection { return mongoconn.Confirmed(conn.DB.Collection(at.bucket + name)) }
	s := &Store{conn: conn, place: at.place(), writable: create, files: named(".files"), chunks: named(".chunks"), sweeps: named(".sweeps")}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close()
		return nil, s.fail("open", err)
	}
	return s, nil
}

// prepare finds the bucket or, for writing, makes it and removes what crashed
// writers left.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.conn.Reach(ctx); err != nil {
		return err
	}
	if !s.writable {
		there, err := mongoconn.Exists(ctx, s.files)
		if err == nil && !there {
			err = pipeline.Fail("no-store", "%s is not an object store: there is no collection %s", s.place, s.files.Name()).
				WithHint("a run that stores there makes it; waybill.bucket names another one")
		}
		return err
	}
	if err := s.conn.EnsureIndexes(ctx, s.files, filesIndexes, indexHint); err != nil {
		return err
	}
	if err := s.conn.EnsureIndexes(ctx, s.chunks, chunksIndexes, indexHint); err != nil {
		return err
	}
	return s.sweep(ctx)
}

// fail gives an error of the server its kind and hint.
func (s *Store) fail(what string, err error) error { return s.conn.Fail("objects: "+what, err) }

// at adds to an error which object it is about.
func (s *Store) at(d pipeline.Digest, err error) error {
	return fmt.Errorf("%s in %s: %w", d, s.place, err)
}

// Close ends the connections.
func (s *Store) Close() error { return s.conn.Close() }
