package ferrettest

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/FerretDB/FerretDB/ferretdb"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// start runs FerretDB 1 over SQLite until the test ends.
func start(t *testing.T) (uri string) {
	t.Helper()
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:  "sqlite", SQLiteURL: "file:" + t.TempDir() + "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return f.MongoDBURI()
}

// TestClaimsAreNotAtomic claims as everybody does, by findOneAndUpdate, with 16
// workers: every document must be claimed once.
func TestClaimsAreNotAtomic(t *testing.T) {
	client, err := mongo.Connect(options.Client().ApplyURI(start(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	items := client.Database("jobs").Collection("items")
	const n, workers = 200, 16
	docs := make([]any, n)
	for i := range docs {
		docs[i] = bson.M{"_id": i, "state": "ready"}
	}
	if _, err := items.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	var claims atomic.Int64
	var g sync.WaitGroup
	for range workers {
		g.Go(func() {
			for {
				err := items.FindOneAndUpdate(t.Context(), bson.M{"state": "ready"}, bson.M{"$set": bson.M{"state": "leased"}}).Err()
				if err != nil {
					if !errors.Is(err, mongo.ErrNoDocuments) {
						t.Error(err)
					}
					return
				}
				claims.Add(1)
			}
		})
	}
	g.Wait()
	if claims.Load() <= n {
		t.Fatalf("%d claims of %d documents: FerretDB 1 has become atomic, and the driver may take it", claims.Load(), n)
	}
	t.Logf("%d claims of %d documents", claims.Load(), n)
}

// TestDriverRefuses: what cannot keep the protocol is refused when it is opened,
// not when it has lost something.
func TestDriverRefuses(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "waybill")
	build := exec.Command("go", "build", "-o", bin, "./cmd/waybill")
	build.Dir = "../../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "enqueue", "--to", strings.TrimSuffix(start(t), "/")+"/jobs", "-")
	cmd.Stdin = strings.NewReader(`{"body":1}`)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "partialFilterExpression") {
		t.Errorf("waybill enqueue: %v: %s", err, out)
	}
}
