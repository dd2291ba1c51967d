package feed_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/feed"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// cpu returns the CPU time that the process has used: user and system, all
// threads. Unlike wall time it means the same on a busy machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The five stages are five types, so that no call can be devirtualised.
type (
	s1 struct{}
	s2 struct{}
	s3 struct{}
	s4 struct{}
	s5 struct{}
)

//go:noinline
func (s1) Process(_ context.Context, it *pipeline.Item) error { return negative(it.Priority) }

//go:noinline
func (s2) Process(_ context.Context, it *pipeline.Item) error { return negative(it.Priority) }

//go:noinline
func (s3) Process(_ context.Context, it *pipeline.Item) error { return negative(it.Priority) }

//go:noinline
func (s4) Process(_ context.Context, it *pipeline.Item) error { return negative(it.Priority) }

//go:noinline
func (s5) Process(_ context.Context, it *pipeline.Item) error { return negative(it.Priority) }

// negative makes the stages look at their item. They do not change it, because
// items are handed out again before they have ended.
func negative(n int) error {
	if n < 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

var five = []pipeline.Stage{s1{}, s2{}, s3{}, s4{}, s5{}}

// BenchmarkInterfaceCalls is the floor: five plain interface calls per item.
func BenchmarkInterfaceCalls(b *testing.B) {
	it, ctx := &pipeline.Item{}, context.Background()
	began := cpu()
	for range b.N {
		for _, s := range five {
			if err := s.Process(ctx, it); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N), "cpu-ns/item")
}

// shape says what the five stages of a line ask for.
type shape struct{ limited, ordered bool }

// BenchmarkScheduler is everything between a claim and the end of an item: five
// no-op stages under the panic guard.
func BenchmarkScheduler(b *testing.B) { benchmark(b, shape{}) }

// BenchmarkLimited has two of them limited to half of the carriers.
func BenchmarkLimited(b *testing.B) { benchmark(b, shape{limited: true}) }

// BenchmarkOrdered has, besides, the last one in the order of the claims.
func BenchmarkOrdered(b *testing.B) { benchmark(b, shape{limited: true, ordered: true}) }

func benchmark(b *testing.B, s shape) {
	for _, carriers := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("carriers=%d", carriers), func(b *testing.B) {
			b.ReportAllocs()
			began := cpu()
			if n := drive(carriers, int64(b.N), s); n != int64(b.N) {
				b.Fatalf("%d items came through, want %d", n, b.N)
			}
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N), "cpu-ns/item")
		})
	}
}

// endless hands out the same items again and again until it has given n.
type endless struct {
	left  int64
	items []*pipeline.Item
	next  int
	buf   []*pipeline.Item
}

func (s *endless) Claim(_ context.Context, most int) ([]*pipeline.Item, error) {
	if s.left == 0 {
		return nil, io.EOF
	}
	s.buf = s.buf[:0]
	for ; len(s.buf) < most && s.left > 0; s.left-- {
		s.buf = append(s.buf, s.items[s.next%len(s.items)])
		s.next++
	}
	return s.buf, nil
}

func (s *endless) Pending(context.Context) (int64, time.Time, error)            { return s.left, time.Time{}, nil }
func (s *endless) Lease() time.Duration                                         { return 0 }
func (s *endless) Ack(context.Context, *pipeline.Item, pipeline.Outcome) error  { return nil }
func (s *endless) Nack(context.Context, *pipeline.Item, pipeline.Release) error { return nil }
func (s *endless) Renew(context.Context, []*pipeline.Item) ([]*pipeline.Item, error) {
	return nil, nil
}

// drive takes n items through the line and returns how many came out.
func drive(carriers int, n int64, s shape) int64 {
	src := &endless{left: n}
	for range 4 * carriers {
		src.items = append(src.items, &pipeline.Item{})
	}
	line := sched.Line{First: -1}
	var order *sched.Ring
	if s.ordered {
		line.First, line.Last = 4, 4
		order = sched.NewRing(carriers)
	}
	for _, s := range five {
		line.Stages = append(line.Stages, sched.Stage{Run: func(ctx context.Context, f *sched.Flight) error {
			return s.Process(ctx, f.Item)
		}})
	}
	if s.limited {
		line.Stages[1].Permit = sched.NewPermit(max(1, carriers/2))
		line.Stages[3].Permit = sched.NewPermit(max(1, carriers/2))
	}
	q := feed.New(context.Background(), feed.Config{Carriers: carriers, Source: src, UntilEmpty: true, Poll: feed.DefaultPoll,
		Order: order, New: func() any { return nil },
		Reset: func(f *sched.Flight) { f.Ctx = context.Background() }})
	done := make([]int64, carriers*8)
	var wg sync.WaitGroup
	for i := range carriers {
		wg.Go(func() {
			for f := q.Next(i); f != nil; f = q.Next(i) {
				if line.Walk(f) == nil {
					done[8*i]++
				}
				f.Turn.Leave()
				q.End(f, f, false)
			}
		})
	}
	wg.Wait()
	var sum int64
	for i := range done {
		sum += done[i]
	}
	return sum
}

// TestSchedulerAllocatesNothing holds the promise of the fast path: six thousand
// items cost what a thousand do.
func TestSchedulerAllocatesNothing(t *testing.T) {
	for _, carriers := range []int{1, 8} {
		for _, s := range []shape{{}, {true, true}} {
			few := testing.AllocsPerRun(3, func() { drive(carriers, 1_000, s) })
			many := testing.AllocsPerRun(3, func() { drive(carriers, 6_000, s) })
			if perItem := (many - few) / 5_000; perItem > 0.01 {
				t.Errorf("%d carriers, %+v: %.4f allocations per item (%.0f for 1,000 items, %.0f for 6,000)", carriers, s, perItem, few, many)
			}
		}
	}
}
