//go:build unix

package claimtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Racer is what Speed measures: a driver's queue, or the work that its engine
// cannot be spared for the same (the floor).
type Racer struct {
	// Enqueue adds n items in one call, durable when it returns.
	Enqueue func(n int) error
	// ClaimAck claims at most n items and ends them, each durably, and returns how
	// many.
	ClaimAck func(n int) (int, error)
	// Ended counts the items that have ended: the ground truth.
	Ended func() (int64, error)
	// ServerCPU returns what the engine's own process has taken of the processors;
	// nil if it works in this process.
	ServerCPU func() (time.Duration, error)
}

// Queue is the Racer of a driver: items of 256 bytes; what was claimed together is
// acknowledged at the same time, as the carriers of a run do.
func Queue(q pipeline.Queue) Racer {
	return Racer{
		Enqueue: func(n int) error {
			items := make([]pipeline.NewItem, n)
			for i := range items {
				items[i].Body = SpeedBody()
			}
			_, err := q.Enqueue(context.Background(), items)
			return err
		},
		ClaimAck: func(n int) (int, error) {
			items, err := q.Claim(context.Background(), n)
			if err != nil {
				return 0, err
			}
			return len(items), AtOnce(len(items), func(i int) error {
				return q.Ack(context.Background(), items[i], pipeline.Outcome{Result: pipeline.Succeeded})
			})
		},
		Ended: func() (int64, error) {
			s, err := q.Stats(context.Background())
			return s.Done, err
		},
	}
}

// SpeedBody returns the body of each item: 256 bytes of JSON.
func SpeedBody() []byte { return fmt.Appendf(nil, "%q", fmt.Sprintf("%0254d", 0)) }

// Speed measures enqueue and claim+ack of 1 and 8 workers with 1 and 100 items a
// call, as sub-benchmarks "enqueue/W1B1" to "claim-ack/W8B100". Each gets a Racer
// of its own that has nothing yet.
func Speed(b *testing.B, open func(b *testing.B) Racer) {
	for _, l := range []struct{ workers, batch int }{{1, 1}, {8, 1}, {1, 100}, {8, 100}} {
		name := fmt.Sprintf("W%dB%d", l.workers, l.batch)
		b.Run("enqueue/"+name, func(b *testing.B) {
			r := open(b)
			r.time(b, l.workers, l.batch, func(n int) (int, error) { return n, r.Enqueue(n) })
			r.check(b, 0)
		})
		b.Run("claim-ack/"+name, func(b *testing.B) {
			r := open(b)
			r.stock(b)
			r.time(b, l.workers, l.batch, r.ClaimAck)
			r.check(b, int64(b.N))
		})
	}
}

// Waiting measures claim+ack while so many other items wait, as sub-benchmarks
// "1000/0", "1000000/0", "1000/1" and so on: so many rounds, the sizes taking
// turns. Sizes are opened once, with their items in place.
func Waiting(b *testing.B, rounds int, open func(b *testing.B, waiting int) Racer, sizes ...int) {
	racers := make([]Racer, len(sizes))
	for i, size := range sizes {
		racers[i] = open(b, size)
	}
	for round := range rounds {
		for i, r := range racers {
			b.Run(fmt.Sprintf("%d/%d", sizes[i], round), func(b *testing.B) {
				before, err := r.Ended()
				if err != nil {
					b.Fatal(err)
				}
				r.stock(b)
				r.time(b, 1, 100, r.ClaimAck)
				r.check(b, before+int64(b.N))
			})
		}
	}
}

// RoundsFrom reads how many rounds Waiting makes from the text of a variable; 1 if
// it is empty.
func RoundsFrom(b *testing.B, text string) int {
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%q is no number of rounds", text)
	}
	return n
}

// stock enqueues b.N items.
func (r Racer) stock(b *testing.B) {
	for left := b.N; left > 0; left -= 1000 {
		if err := r.Enqueue(min(left, 1000)); err != nil {
			b.Fatal(err)
		}
	}
}

func (r Racer) check(b *testing.B, want int64) {
	if got, err := r.Ended(); got != want || err != nil {
		b.Fatalf("%d items have ended, want %d, error %v", got, want, err)
	}
}

// time does b.N items of work in batches, split over the workers, and reports the
// rate and what an item took of the processors.
func (r Racer) time(b *testing.B, workers, batch int, work func(n int) (int, error)) {
	before := r.used(b)
	b.ResetTimer()
	err := AtOnce(workers, func(w int) error {
		left := b.N / workers
		if w == 0 {
			left += b.N % workers
		}
		return inBatches(left, batch, work)
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	after := r.used(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
	for unit, was := range before {
		b.ReportMetric((after[unit]-was).Seconds()*1e6/float64(b.N), unit)
	}
}

// maxIdle is how often in a row a claim may come out empty because others were
// faster.
const maxIdle = 100

func inBatches(left, batch int, work func(n int) (int, error)) error {
	for idle := 0; left > 0; {
		n, err := work(min(batch, left))
		if err != nil {
			return err
		}
		if idle++; n > 0 {
			idle = 0
		}
		if idle > maxIdle {
			return errors.New("nothing to work on")
		}
		left -= n
	}
	return nil
}

// used is what has been taken of the processors, system included: by this process,
// and by the engine's if that is another.
func (r Racer) used(b *testing.B) map[string]time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	out := map[string]time.Duration{"cpu-us/item": time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	if r.ServerCPU != nil {
		server, err := r.ServerCPU()
		if err != nil {
			b.Fatal(err)
		}
		out["server-cpu-us/item"] = server
	}
	return out
}

// AtOnce calls f for 0 to n-1 at the same time and joins the errors.
func AtOnce(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
