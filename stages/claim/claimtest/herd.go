package claimtest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Herd is processes that work on one queue, each with one item in hand at most.
type Herd struct {
	ctx          context.Context
	stop         context.CancelFunc
	work         sync.WaitGroup
	done, claims atomic.Int64
	ended        chan struct{}
}

// StartHerd lets each opened queue be a process, which takes so long for an item.
func StartHerd(t testing.TB, queues []pipeline.Queue, each time.Duration) *Herd {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	h := &Herd{ctx: ctx, stop: stop, ended: make(chan struct{}, 1<<16)}
	t.Cleanup(h.end)
	for _, q := range queues {
		h.work.Go(func() {
			for ctx.Err() == nil {
				if err := h.step(ctx, q, each); err != nil && ctx.Err() == nil {
					t.Error(err)
					stop()
				}
			}
		})
	}
	return h
}

// step claims, and works or waits to be woken.
func (h *Herd) step(ctx context.Context, q pipeline.Queue, each time.Duration) error {
	h.claims.Add(1)
	items, err := q.Claim(ctx, 1)
	if err != nil {
		return err
	}
	for _, it := range items {
		time.Sleep(each)
		if err := q.Ack(context.WithoutCancel(ctx), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			return err
		}
		h.done.Add(1)
		h.ended <- struct{}{}
	}
	if len(items) > 0 {
		return nil
	}
	poll := time.NewTimer(2 * time.Second)
	defer poll.Stop()
	select {
	case <-q.Wakes():
	case <-poll.C:
	case <-ctx.Done():
	}
	return nil
}

// Await returns when n more items have ended, or a process has failed.
func (h *Herd) Await(n int) {
	for range n {
		select {
		case <-h.ended:
		case <-h.ctx.Done():
			return
		}
	}
}

// End stops all of them and returns how many claims there were for each item.
func (h *Herd) End() float64 {
	h.end()
	return float64(h.claims.Load()) / float64(h.done.Load())
}

func (h *Herd) end() {
	h.stop()
	h.work.Wait()
}
