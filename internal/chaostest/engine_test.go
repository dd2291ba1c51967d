package chaostest

import (
	"context"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages"
)

// engine is a store that processes share.
type engine struct {
	// direct is its URL for those that nothing happens to: the sampler.
	direct string
	// newWay makes a way of its own for each process.
	newWay func() way
	// faults are those of the engine itself.
	faults []fault
	// every is the time between samples: what one costs differs.
	every time.Duration
}

// engines are those that processes can share, each by how it is started; nothing
// happens to it for much longer than a lease.
var engines = map[string]func(t *testing.T, lease time.Duration) *engine{
	"sqlite": sqliteEngine, "nats": natsEngine, "mongodb": mongodbEngine,
}

// way is how one process gets to the engine.
type way struct {
	url     string
	proxies []*proxy
}

// open opens a queue as the program does, and makes it if need be.
func open(t *testing.T, url string, o pipeline.QueueOptions) pipeline.Queue {
	t.Helper()
	scheme, _, _ := pipeline.SplitURL(url)
	for _, d := range stages.Queues() {
		if d.Scheme != scheme {
			continue
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		src, err := d.Open(ctx, url, o)
		for err != nil && pipeline.KindOf(err) == pipeline.Unavailable && wait(ctx, 50*time.Millisecond) { // the engine starts
			src, err = d.Open(ctx, url, o)
		}
		if err != nil {
			t.Fatal(err)
		}
		q := src.(pipeline.Queue)
		t.Cleanup(func() { _ = q.Close() })
		return q
	}
	t.Fatalf("no driver for %s", url)
	return nil
}
