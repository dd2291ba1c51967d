package runtime_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
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

// generator is a source in memory: it gives out left items, and counts what
// became of them. With reuse it hands the same items out again once they have
// ended, so that what is measured is the engine and not the making of items.
type generator struct {
	left, acked int64
	reuse       []*pipeline.Item
	next        int
	out         []*pipeline.Item
}

func (g *generator) Claim(_ context.Context, most int) ([]*pipeline.Item, error) {
	if g.left == 0 {
		return nil, io.EOF
	}
	g.out = g.out[:0]
	for range min(int64(most), g.left) {
		g.left--
		g.out = append(g.out, g.item())
	}
	return g.out, nil
}

func (g *generator) item() *pipeline.Item {
	if len(g.reuse) == 0 {
		return &pipeline.Item{ID: strconv.FormatInt(g.left, 10), Attempt: 1, Body: pipeline.RawBody([]byte(`{"n":1}`), pipeline.MediaJSON)}
	}
	it := g.reuse[g.next%len(g.reuse)]
	g.next++
	return it
}

func (g *generator) Pending(context.Context) (int64, time.Time, error) {
	return g.left, time.Time{}, nil
}
func (g *generator) Lease() time.Duration { return 0 }
func (g *generator) Renew(context.Context, []*pipeline.Item) ([]*pipeline.Item, error) {
	return nil, nil
}
func (g *generator) Ack(context.Context, *pipeline.Item, pipeline.Outcome) error  { return nil }
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
			g := &generator{left: int64(b.N)}
			for i := range 4 * carriers {
				g.reuse = append(g.reuse, &pipeline.Item{ID: strconv.Itoa(i), Attempt: 1})
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
