package gridfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/gridfs"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func TestPutAndRead(t *testing.T) {
	b := newBucket(t)
	o := b.open(t, mongoconn.Settings{})
	all := []pipeline.Blob{blob(""), blob("a"), large("b"), large("c")}
	for range 2 { // the second time they are there already
		put(t, o, append(all, all[1])...)
	}
	put(t, o) // nothing is nothing
	mustGet(t, o, all...)
	var want, got []pipeline.ObjectInfo
	place := b.place(t)
	for _, b := range all {
		want = append(want, pipeline.ObjectInfo{Digest: b.Digest, Size: int64(len(b.Data)), Place: place})
		if has, err := o.Has(t.Context(), b.Digest); !has || err != nil {
			t.Errorf("has %.16s: %v, %v", b.Digest, has, err)
		}
		checks, err := o.Check(t.Context(), b.Digest)
		if d := cmp.Diff([]pipeline.ObjectCheck{{ObjectInfo: want[len(want)-1], State: "ok"}}, checks); d != "" || err != nil {
			t.Error(err, d)
		}
	}
	slices.SortFunc(want, func(a, b pipeline.ObjectInfo) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	if err := o.List(t.Context(), func(i pipeline.ObjectInfo) bool { got = append(got, i); return true }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	n := 0
	if err := o.List(t.Context(), func(pipeline.ObjectInfo) bool { n++; return n < 2 }); n != 2 || err != nil {
		t.Errorf("a list that was to stop after 2 has %d, error %v", n, err)
	}
	if files := count(t, b.files, bson.M{}); files != len(all) {
		t.Errorf("%d files of %d objects", files, len(all))
	}
}

func TestAbsent(t *testing.T) {
	o := newBucket(t).open(t, mongoconn.Settings{})
	none := blob("none").Digest
	if _, err := o.Get(t.Context(), none); !errors.Is(err, pipeline.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if has, err := o.Has(t.Context(), none); has || err != nil {
		t.Errorf("has: %v, %v", has, err)
	}
	if c, err := o.Check(t.Context(), none); err != nil || len(c) != 1 || c[0].State != "missing" {
		t.Errorf("check: %+v, %v", c, err)
	}
}

func TestReadOnly(t *testing.T) {
	b := newBucket(t)
	if _, err := gridfs.Driver().Open(t.Context(), b.url, "", false); pipeline.CodeOf(err) != "no-store" {
		t.Errorf("a bucket that is not there: %v", err)
	}
	put(t, b.open(t, mongoconn.Settings{}), blob("a"))
	o, err := gridfs.Driver().Open(t.Context(), b.url, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	mustGet(t, o, blob("a"))
	if _, err := o.Put(t.Context(), []pipeline.Blob{blob("b")}); pipeline.CodeOf(err) != "read-only" {
		t.Errorf("put: %v", err)
	}
}

// The collections are those of the specification: any driver reads what is stored,
// and what another program stored under its digest is an object.
func TestOtherDrivers(t *testing.T) {
	b := newBucket(t)
	o := b.open(t, mongoconn.Settings{})
	ours, theirs := large("ours"), large("theirs")
	put(t, o, ours, blob(""))
	other := b.db.GridFSBucket(options.GridFSBucket().SetName(b.name))
	for _, want := range []pipeline.Blob{ours, blob("")} {
		var got bytes.Buffer
		if _, err := other.DownloadToStreamByName(t.Context(), string(want.Digest), &got); err != nil || got.String() != string(want.Data) {
			t.Errorf("the driver reads %d bytes, error %v", got.Len(), err)
		}
	}
	var doc struct {
		Metadata struct {
			MediaType string `bson:"mediaType"`
		} `bson:"metadata"`
	}
	if err := b.files.FindOne(t.Context(), bson.M{"filename": ours.Digest}).Decode(&doc); err != nil || doc.Metadata.MediaType != "text/plain" {
		t.Errorf("%+v, %v", doc, err)
	}
	if err := other.UploadFromStreamWithID(t.Context(), "an id of theirs", string(theirs.Digest), bytes.NewReader(theirs.Data),
		options.GridFSUpload().SetChunkSizeBytes(1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.UploadFromStream(t.Context(), "notes.txt", strings.NewReader("no object")); err != nil {
		t.Fatal(err)
	}
	put(t, o, theirs)
	mustGet(t, o, theirs)
	n := 0
	if err := o.List(t.Context(), func(pipeline.ObjectInfo) bool { n++; return true }); n != 3 || err != nil {
		t.Errorf("%d objects, error %v", n, err)
	}
}

// Damage is found by everything that reads, and repaired by nothing.
func TestFlippedByte(t *testing.T) {
	b := newBucket(t)
	o := b.open(t, mongoconn.Settings{})
	whole, bad := large("fine"), large("data")
	put(t, o, whole, bad)
	damaged := bytes.Clone(bad.Data)
	damaged[600_000] ^= 1
	chunk := damaged[2*mongo.DefaultGridFSChunkSize:]
	e, err := b.files.FindOne(t.Context(), bson.M{"filename": bad.Digest}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	third := bson.M{"files_id": e.Lookup("_id").ObjectID(), "n": 2}
	if r, err := b.chunks.UpdateOne(t.Context(), third, bson.M{"$set": bson.M{"data": chunk}}); err != nil || r.ModifiedCount != 1 {
		t.Fatal(r, err)
	}
	corrupt := func(what string, found []byte) {
		t.Helper()
		if _, err := o.Get(t.Context(), bad.Digest); !errors.Is(err, pipeline.ErrCorrupt) {
			t.Errorf("%s: get: %v", what, err)
		}
		c, err := o.Check(t.Context(), bad.Digest)
		if err != nil || c[0].State != "corrupt" || c[0].Found != pipeline.DigestOf(found) || c[0].Size != int64(len(found)) {
			t.Errorf("%s: check: %+v, %v", what, c, err)
		}
		if n, err := o.Put(t.Context(), []pipeline.Blob{whole, bad}); n != 0 || !errors.Is(err, pipeline.ErrCorrupt) || !strings.Contains(err.Error(), string(bad.Digest)) {
			t.Errorf("%s: put: %d, %v", what, n, err)
		}
	}
	corrupt("a flipped bit", damaged)
	if _, err := b.chunks.DeleteOne(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	corrupt("a lost chunk", bad.Data[:2*mongo.DefaultGridFSChunkSize])
	restored := bson.M{"_id": bson.NewObjectID(), "files_id": third["files_id"], "n": 2, "data": bad.Data[2*mongo.DefaultGridFSChunkSize:]}
	more := bson.M{"_id": bson.NewObjectID(), "files_id": third["files_id"], "n": 3, "data": []byte("!")}
	if _, err := b.chunks.InsertMany(t.Context(), []any{restored, more}); err != nil {
		t.Fatal(err)
	}
	corrupt("a chunk too many", append(bytes.Clone(bad.Data), '!'))
	mustGet(t, o, whole)
	wrong := pipeline.Blob{Digest: whole.Digest, Data: []byte("x")}
	if _, err := o.Put(t.Context(), []pipeline.Blob{wrong}); !errors.Is(err, pipeline.ErrCorrupt) {
		t.Errorf("content under another's digest: %v", err)
	}
}

// Many writers of the same objects: each succeeds, and there is one file of each,
// with its chunks and no others.
func TestRacingWriters(t *testing.T) {
	b := newBucket(t)
	var blobs []pipeline.Blob
	for i := range 8 {
		blobs = append(blobs, large(fmt.Sprint(i)))
	}
	var wg sync.WaitGroup
	for w := range 6 {
		o := b.open(t, mongoconn.Settings{})
		wg.Go(func() {
			mine := append(slices.Clone(blobs[w:]), blobs[:w]...)
			if n, err := o.Put(context.Background(), mine); n != 1 || err != nil {
				t.Errorf("writer %d: %d, %v", w, n, err)
			}
		})
	}
	wg.Wait()
	mustGet(t, b.open(t, mongoconn.Settings{}), blobs...)
	files, chunks := count(t, b.files, bson.M{}), count(t, b.chunks, bson.M{})
	if files != len(blobs) || chunks != 3*len(blobs) {
		t.Errorf("%d files and %d chunks of %d objects with 3 each", files, chunks, len(blobs))
	}
}

// A writer that finds the object there between its chunks and its file keeps
// nothing of its own.
func TestLoser(t *testing.T) {
	b := newBucket(t)
	first, a, own := b.open(t, mongoconn.Settings{}), large("a"), large("own")
	won := false
	second := b.open(t, mongoconn.Settings{Point: func(name string) {
		if !won && strings.HasPrefix(name, "insert") {
			won = true
			put(t, first, a)
		}
	}})
	put(t, second, a, own)
	mustGet(t, first, a, own)
	if n := count(t, b.chunks, bson.M{}); !won || n != 6 {
		t.Errorf("%d chunks of 2 objects with 3 each", n)
	}
}

// A bucket in which two files have one name is not one of ours.
func TestForeignBucket(t *testing.T) {
	b := newBucket(t)
	other := b.db.GridFSBucket(options.GridFSBucket().SetName(b.name))
	for range 2 {
		if _, err := other.UploadFromStream(t.Context(), "notes.txt", strings.NewReader("a version")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := gridfs.Driver().Open(t.Context(), b.url, "", true); pipeline.CodeOf(err) != "bad-indexes" {
		t.Errorf("%v, want bad-indexes", err)
	}
}

func TestCheckURL(t *testing.T) {
	check := gridfs.Driver().Check
	for url, want := range map[string]string{
		"mongodb://me:pw@a:1,b:2/jobs?replicaSet=rs0": "mongodb://a:1,b:2/jobs",
		"mongodb://a/jobs?waybill.bucket=results":     "mongodb://a/jobs?waybill.bucket=results",
	} {
		if got, err := check(url); got != want || err != nil {
			t.Errorf("%s: %s, %v", url, got, err)
		}
	}
	for _, url := range []string{"mongodb:a", "mongodb://a/jobs?waybill.bucket=", "mongodb://a/jobs?waybill.bucket=a$b", "mongodb://a/jobs?waybill.lanes=2", "mongodb://a/jobs?copies=2"} {
		if _, err := check(url); pipeline.CodeOf(err) != "bad-url" {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A write that waits in vain is Unavailable: the item comes back.
func TestUnreachable(t *testing.T) {
	_, err := gridfs.Driver().Open(t.Context(), "mongodb://127.0.0.1:1/jobs?serverSelectionTimeoutMS=100", "", true)
	if pipeline.CodeOf(err) != "store-unreachable" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Errorf("%v", err)
	}
}
