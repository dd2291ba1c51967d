package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/waybill-dev/waybill/internal/mongotest"
)

// TestSharedQueues runs the example on each queue that many machines can share;
// the pipeline differs from the committed one in a single line.
func TestSharedQueues(t *testing.T) {
	for name, start := range map[string]func(testing.TB) (url string){"nats": startNATS, "mongodb": startMongoDB} {
		t.Run(name, func(t *testing.T) {
			bin, dir := stage(t)
			queue := start(t)
			pipeline := filepath.Join(dir, "pipeline.yaml")
			text, err := os.ReadFile(pipeline)
			if err != nil {
				t.Fatal(err)
			}
			const line = "from: sqlite:var/queue.db\n"
			if strings.Count(string(text), line) != 1 {
				t.Fatalf("the pipeline has not one line %q", line)
			}
			changed := strings.Replace(string(text), line, "from: "+queue+"\n", 1)
			if err := os.WriteFile(pipeline, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := run(context.Background(), &out, bin, dir, false); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			checkReceipts(t, bin, dir, queue, expectedPages(t))
		})
	}
}

// startNATS starts a JetStream server for the test.
func startNATS(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, SyncAlways: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not get ready")
	}
	return s.ClientURL()
}

// startMongoDB starts the MongoDB wire server of the driver's tests, or takes the
// database that WAYBILL_TEST_MONGODB names.
func startMongoDB(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("WAYBILL_TEST_MONGODB"); url != "" {
		return url
	}
	var servers mongotest.Servers
	t.Cleanup(servers.Close)
	return "mongodb://" + servers.Serve(t) + "/capture"
}
