package nats_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// herd opens a queue of a new server eight times, each with a connection and a replica
// of its own.
func herd(t *testing.T) (queues []pipeline.Queue) {
	t.Helper()
	url := startServer(t, t.TempDir()).ClientURL()
	for i := range 8 {
		queues = append(queues, mustOpen(t, url, pipeline.QueueOptions{Create: true, Owner: fmt.Sprint("worker-", i)}))
	}
	return queues
}

// conflicts returns how many claims were written in vain.
func conflicts(queues []pipeline.Queue) (n int64) {
	for _, q := range queues {
		n += nats.Conflicts(q.(*nats.Queue))
	}
	return n
}

// TestHerdWaits: eight processes wait, and items come one at a time. All hear of each;
// if all claimed at once, seven would do so in vain.
func TestHerdWaits(t *testing.T) {
	t.Parallel()
	queues := herd(t)
	h := claimtest.StartHerd(t, queues, 0)
	const items = 60
	for i := range items {
		if _, err := queues[i%len(queues)].Enqueue(t.Context(), []pipeline.NewItem{{}}); err != nil {
			t.Fatal(err)
		}
		h.Await(1)
	}
	claims, vain := h.End(), float64(conflicts(queues))/items
	t.Logf("%.2f conflicts and %.2f claims for each item", vain, claims)
	if vain > 4 || claims > 7 {
		t.Errorf("%.2f conflicts and %.2f claims for each item, want at most 4 and 7", vain, claims)
	}
}

// TestHerdWorks: eight processes work on a queue in which many items wait. All of them
// want the first one.
func TestHerdWorks(t *testing.T) {
	t.Parallel()
	queues := herd(t)
	const items = 400
	all := make([]pipeline.NewItem, items)
	for i := range all {
		all[i].Key = fmt.Sprint(i)
	}
	if _, err := queues[0].Enqueue(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	h := claimtest.StartHerd(t, queues, 2*time.Millisecond)
	h.Await(items)
	h.End()
	vain := float64(conflicts(queues)) / items
	t.Logf("%.2f conflicts for each item", vain)
	if vain > 1.2 {
		t.Errorf("%.2f conflicts for each item, want at most 1.2", vain)
	}
}
