package nats_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/nats"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := claimtest.Main(m, func(location string, o pipeline.QueueOptions) (pipeline.Queue, error) {
		return open(nats.Driver(), location, o)
	})
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestConformance runs the suite against a server of its own, reached over
// loopback; the crash test kills the server's clients.
func TestConformance(t *testing.T) {
	claimtest.Exercise(t, func(t testing.TB) claimtest.Store {
		url := startServer(t, t.TempDir()).ClientURL()
		return newStore(url, url)
	})
}

// soak is the environment variable that asks for the suite on every kind of
// server.
const soak = "WAYBILL_SOAK_NATS"

// TestConformanceEverywhere runs the suite embedded in the process, without the
// tests that need two processes, and on three nodes.
func TestConformanceEverywhere(t *testing.T) {
	if os.Getenv(soak) == "" {
		t.Skip("the suite runs on one server; " + soak + "=1 runs it embedded and on a cluster too")
	}
	t.Run("embedded", func(t *testing.T) {
		claimtest.Exercise(t, func(t testing.TB) claimtest.Store { return newStore("nats:embedded?dir="+t.TempDir(), "") })
	})
	t.Run("cluster", func(t *testing.T) {
		c := startCluster(t, 3)
		claimtest.Exercise(t, func(t testing.TB) claimtest.Store {
			clear := mustOpen(t, c.url(), pipeline.QueueOptions{Create: true})
			if err := nats.DeleteStreams(t.Context(), clear); err != nil {
				t.Fatal(err)
			}
			return newStore(c.url(), c.url())
		})
	})
}

// newStore is a store whose clock stands still.
func newStore(url, location string) claimtest.Store {
	c := &clock{now: time.Now()}
	driver := nats.Driver(nats.WithClock(c.Now))
	return claimtest.Store{
		Location: location,
		Open:     func(o pipeline.QueueOptions) (pipeline.Queue, error) { return open(driver, url, o) },
		Advance: func(t testing.TB, q pipeline.Queue, d time.Duration) {
			t.Helper()
			c.Advance(d)
			if _, err := q.(*nats.Queue).Reap(context.Background()); err != nil {
				t.Fatalf("reap: %v", err)
			}
		},
	}
}

func open(d pipeline.QueueDriver, url string, o pipeline.QueueOptions) (*nats.Queue, error) {
	src, err := d.Open(context.Background(), url, o)
	if err != nil {
		return nil, err
	}
	return src.(*nats.Queue), nil
}

// startServer runs a server on loopback that ends with the test. It does not sync:
// what the tests kill is its clients.
func startServer(t testing.TB, dir string) *server.Server {
	t.Helper()
	return runServer(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, MaxPayload: 2 << 20})
}

func runServer(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the test's server does not start")
	}
	return s
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
