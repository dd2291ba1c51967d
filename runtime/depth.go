package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// depthAge is how old the queue's statistics may be before they are asked for
// again: counting a large queue is not free.
const depthAge = 3 * time.Second

// depth is the queue's statistics, asked for now and then.
type depth struct {
	mu     sync.Mutex
	stats  pipeline.QueueStats
	known  bool
	at     time.Time // when they were asked for
	asking bool
}

// counted is a source that knows how much it holds.
type counted interface {
	Stats(ctx context.Context) (pipeline.QueueStats, error)
}

// queueStats returns the queue's statistics, asking for them if they are old. ok
// is false if the source has none, or does not answer.
func (e *engine) queueStats(ctx context.Context) (stats pipeline.QueueStats, ok bool) {
	q, has := e.source.(counted)
	if !has {
		return stats, false
	}
	d := &e.depth
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asking || time.Since(d.at) < depthAge {
		return d.stats, d.known
	}
	d.asking, d.at = true, time.Now()
	d.mu.Unlock()
	stats, err := q.Stats(ctx)
	d.mu.Lock()
	d.stats, d.known, d.asking = stats, err == nil, false
	return d.stats, d.known
}

// paused reports whether the queue was paused when it was last asked, and asks
// again in the background.
func (e *engine) paused() bool {
	d := &e.depth
	d.mu.Lock()
	old := !d.asking && time.Since(d.at) >= depthAge
	paused := d.stats.Paused
	d.mu.Unlock()
	if old {
		go func() {
			ctx, stop := context.WithTimeout(e.books, time.Second)
			defer stop()
			e.queueStats(ctx)
		}()
	}
	return paused
}
