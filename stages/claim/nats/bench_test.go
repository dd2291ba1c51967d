package nats_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// The cases of the research: workers at the same time, items per call.
var loads = []struct{ workers, batch int }{{1, 1}, {8, 1}, {1, 100}, {8, 100}}

func BenchmarkEnqueue(b *testing.B) {
	for _, l := range loads {
		b.Run(fmt.Sprintf("W%dB%d", l.workers, l.batch), func(b *testing.B) {
			q := mustOpen(b, "nats:embedded?dir="+b.TempDir(), pipeline.QueueOptions{Create: true})
			b.ResetTimer()
			spread(b, l.workers, l.batch, func(n int) (int, error) {
				_, err := q.Enqueue(context.Background(), payloads(n))
				return n, err
			})
		})
	}
}

func BenchmarkClaimAck(b *testing.B) {
	for _, l := range loads {
		b.Run(fmt.Sprintf("W%dB%d", l.workers, l.batch), func(b *testing.B) {
			q := mustOpen(b, "nats:embedded?dir="+b.TempDir(), pipeline.QueueOptions{Create: true})
			for left := b.N; left > 0; left -= 1000 {
				if _, err := q.Enqueue(context.Background(), payloads(min(left, 1000))); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			spread(b, l.workers, l.batch, func(n int) (int, error) { return claimAck(q, n) })
			b.StopTimer()
			if s, err := q.Stats(context.Background()); err != nil || s.Done != int64(b.N) {
				b.Fatalf("%+v done of %d, error %v", s, b.N, err)
			}
		})
	}
}

// BenchmarkFloor publishes the same bytes without a condition to a stream like a
// queue's, one synced message each: what an enqueue cannot be faster than. A claim
// and its ack are two of them, each with the removal of the message before.
func BenchmarkFloor(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("W%d", workers), func(b *testing.B) {
			q := mustOpen(b, "nats:embedded?dir="+b.TempDir(), pipeline.QueueOptions{Create: true})
			js := nats.JetStream(q)
			_, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "floor", Subjects: []string{"floor.>"}, MaxMsgsPerSubject: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			var n atomic.Int64
			spread(b, workers, 1, func(int) (int, error) {
				_, err := js.Publish(context.Background(), fmt.Sprint("floor.", n.Add(1)), body)
				return 1, err
			})
		})
	}
}

// claimAck claims n items and acknowledges them at the same time, as the carriers
// of a run do.
func claimAck(q pipeline.Queue, n int) (int, error) {
	items, err := q.Claim(context.Background(), n)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(items))
	for i, it := range items {
		wg.Go(func() {
			errs[i] = q.Ack(context.Background(), it, pipeline.Outcome{Result: pipeline.Succeeded})
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return len(items), nil
}

// spread does b.N items of work in batches, split over the workers.
func spread(b *testing.B, workers, batch int, work func(n int) (int, error)) {
	var wg sync.WaitGroup
	for w := range workers {
		left := b.N / workers
		if w == 0 {
			left += b.N % workers
		}
		wg.Go(func() {
			for left > 0 {
				n, err := work(min(batch, left))
				if err != nil {
					b.Error(err)
					return
				}
				if n == 0 {
					b.Error("nothing to work on")
					return
				}
				left -= n
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

func payloads(n int) []pipeline.NewItem {
	out := make([]pipeline.NewItem, n)
	for i := range out {
		out[i].Body = body
	}
	return out
}

// body has 256 bytes, as in the research.
var body = fmt.Appendf(nil, "%q", fmt.Sprintf("%0254d", 0))
