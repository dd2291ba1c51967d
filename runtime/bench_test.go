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

// generator makes n new items with a small body.
type generator struct{ left, acked int64 }

func (g *generator) Claim(_ context.Context, most int) ([]*pipeline.Item, error) {
	if g.left == 0 {
		return nil, io.EOF
	}
	out := make([]*pipeline.Item, min(int64(most), g.left))
	for i := range out {
		g.left--
		out[i] = &pipeline.Item{ID: strconv.FormatInt(g.left, 10), Attempt: 1, Body: pipeline.RawBody([]byte(`{"n":1}`), pipeline.MediaJSON)}
	}
	return out, nil
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
			b.ReportAllocs()
			began := cpu()
			s, err := runtime.Run(context.Background(), plan(carriers, source(&generator{left: int64(b.N)}), stage("noop", nop)),
				runtime.Options{UntilEmpty: true, Log: quiet()})
			if err != nil || s.Successful != int64(b.N) {
				b.Fatalf("%d items came through, want %d: %v", s.Successful, b.N, err)
			}
			used := cpu() - began
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/item")
			b.ReportMetric(float64(b.N)/used.Seconds(), "items/cpu-s")
		})
	}
}
