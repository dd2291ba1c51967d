package gridfs_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/mongotest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/gridfs"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"
)

// realServer names a connection string of a real server, with a database that
// the tests may write to.
const realServer = "WAYBILL_TEST_MONGODB"

var servers mongotest.Servers

func TestMain(m *testing.M) {
	code := m.Run()
	servers.Close()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// bucket is a bucket with nothing in it.
type bucket struct {
	url           string
	db            *mongo.Database
	name          string
	files, chunks *mongo.Collection
}

func newBucket(t testing.TB) bucket {
	t.Helper()
	base := os.Getenv(realServer)
	if base == "" {
		base = "mongodb://" + servers.Shared(t) + "/jobs"
	}
	at, err := mongoconn.Parse(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(at.URI))
	if err != nil {
		t.Fatal(err)
	}
	mark := "?"
	if strings.Contains(base, "?") {
		mark = "&"
	}
	name := "o" + strings.ToLower(rand.Text())
	b := bucket{url: base + mark + "waybill.bucket=" + name, db: client.Database(at.Name), name: name}
	b.files, b.chunks = b.db.Collection(name+".files"), b.db.Collection(name+".chunks")
	t.Cleanup(func() {
		ctx := context.Background() // the test's is over
		for _, c := range []*mongo.Collection{b.files, b.chunks, b.db.Collection(name + ".sweeps")} {
			if err := c.Drop(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// open opens the bucket for writing.
func (b bucket) open(t testing.TB, set mongoconn.Settings) pipeline.Objects {
	t.Helper()
	o, err := gridfs.DriverWith(set).Open(t.Context(), b.url, "", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// place is what reports call the bucket.
func (b bucket) place(t testing.TB) string {
	t.Helper()
	place, err := gridfs.Driver().Check(b.url)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func count(t testing.TB, c *mongo.Collection, filter bson.M) int {
	t.Helper()
	cursor, err := c.Find(t.Context(), filter)
	var all []bson.M
	if err == nil {
		err = cursor.All(t.Context(), &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func blob(s string) pipeline.Blob {
	return pipeline.Blob{Digest: pipeline.DigestOf([]byte(s)), MediaType: "text/plain", Data: []byte(s)}
}

// large has several chunks, the last of them short.
func large(s string) pipeline.Blob { return blob(strings.Repeat(s, 700_000/len(s))) }

func put(t testing.TB, o pipeline.Objects, blobs ...pipeline.Blob) {
	t.Helper()
	if n, err := o.Put(t.Context(), blobs); n != 1 || err != nil {
		t.Fatalf("%d copies, error %v", n, err)
	}
}

func mustGet(t testing.TB, o pipeline.Objects, blobs ...pipeline.Blob) {
	t.Helper()
	for _, b := range blobs {
		if got, err := o.Get(t.Context(), b.Digest); err != nil || string(got) != string(b.Data) {
			t.Errorf("get %.16s: %d bytes, error %v", b.Digest, len(got), err)
		}
	}
}
