package runtime_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// cpu returns the process's CPU time: user and system, all threads.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// generator is a source in memory. It makes left items, or, with reuse, hands the
// same ones out again once they have ended, so that what is measured is the
// engine and not the making of items.
type generator struct {
	left  int64
	reuse bool
	out   []*pipeline.Item

	mu   sync.Mutex
	free []*pipeline.Item
}

func (g *generator) Claim(_ context.Context, most int) ([]*pipeline.Item, error) {
	if g.left == 0 {
		return nil, io.EOF
	}
	n := min(most, int(g.left))
	if g.reuse {
		g.mu.Lock()
		defer g.mu.Unlock()
		n = min(n, len(g.free))
		g.out = append(g.out[:0], g.free[len(g.free)-n:]...)
		g.free = g.free[:len(g.free)-n]
	} else {
		g.out = g.out[:0]
		for i := range n {
			g.out = append(g.out, &pipeline.Item{ID: strconv.FormatInt(g.left-int64(i), 10), Attempt: 1,
				Body: pipeline.RawBody([]byte(`{"n":1}`), pipeline.MediaJSON)})
		}
	}
	g.left -= int64(n)
	return g.out, nil
}

func (g *generator) Ack(_ context.Context, it *pipeline.Item, _ pipeline.Outcome) error {
	if g.reuse {
		g.mu.Lock()
		g.free = append(g.free, it)
		g.mu.Unlock()
	}
	return nil
}

func (g *generator) Pending(context.Context) (int64, time.Time, error) {
	return g.left, time.Time{}, nil
}
func (g *generator) Lease() time.Duration { return 0 }
func (g *generator) Renew(context.Context, []*pipeline.Item) ([]*pipeline.Item, error) {
	return nil, nil
}
func (g *generator) Nack(context.Context, *pipeline.Item, pipeline.Release) error { return nil }

// BenchmarkPipeline is a whole run, everything on: generate, a no-op stage, and
// an acknowledgement that keeps nothing.
func BenchmarkPipeline(b *testing.B) {
	for _, carriers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("carriers=%d", carriers), func(b *testing.B) {
			drive(b, plan(carriers, source(&generator{left: int64(b.N)}), stage("noop", nop)))
		})
	}
}

// BenchmarkEngine is a whole run of five no-op stages over items that exist
// already: what the engine costs per item.
func BenchmarkEngine(b *testing.B) {
	for _, carriers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("carriers=%d", carriers), func(b *testing.B) {
			g := &generator{left: int64(b.N), reuse: true}
			for i := range 2 * carriers {
				g.free = append(g.free, &pipeline.Item{ID: strconv.Itoa(i), Attempt: 1})
			}
			drive(b, plan(carriers, source(g), stage("a", nop), stage("b", nop), stage("c", nop), stage("d", nop), stage("e", nop)))
		})
	}
}

func drive(b *testing.B, p *pipeline.Plan) {
	b.ReportAllocs()
	began := cpu()
	s, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet()})
	if err != nil || s.Successful != int64(b.N) {
		b.Fatalf("%d items came through, want %d: %v", s.Successful, b.N, err)
	}
	used := cpu() - began
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/item")
	b.ReportMetric(float64(b.N)/used.Seconds(), "items/cpu-s")
}
