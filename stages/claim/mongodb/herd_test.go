package mongodb_test

import (
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// TestHerdWaits: eight processes wait, and items come one at a time. All hear of each
// by their change streams; if all claimed at once, seven would do so in vain.
func TestHerdWaits(t *testing.T) {
	t.Parallel()
	url := emptyStore(t)
	producer := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	var queues []pipeline.Queue
	for range 8 {
		q := mustOpen(t, url, pipeline.QueueOptions{})
		mongodb.NoReaper(q)
		woken(t, q, "the stream is open")
		queues = append(queues, q)
	}
	h := claimtest.StartHerd(t, queues, 0)
	const items = 60
	for range items {
		enqueue(t, producer, pipeline.NewItem{})
		h.Await(1)
	}
	claims := h.End()
	t.Logf("%.2f claims for each item", claims)
	if claims > 5 {
		t.Errorf("%.2f claims for each item, want at most 5", claims)
	}
}
