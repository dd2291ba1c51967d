//go:build unix

package host

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// busy is how long the guest of BenchmarkStall computes.
const busy = time.Second

// BenchmarkStall lets a guest compute for a second, on one of at least two
// processors, and reports in ms how long it held others at most: a goroutine
// that wants to run every millisecond, and one that collects garbage, for which
// all goroutines have to stop. Machine code cannot be stopped by Go, so that in
// plain wazero both wait for the guest's end; a metered one comes by every slice.
// These are wall times, because waiting costs no CPU; a loop in Go, which the
// scheduler may stop anywhere, shows what of them is the machine's.
func BenchmarkStall(b *testing.B) {
	b.Run("metered", func(b *testing.B) {
		o := options(w.Guest{Run: [][]byte{w.Forever(), w.Const64(0)}}.Bytes())
		o.Limits.Timeout = busy
		p := pool(b, o)
		if err := p.Warm(context.Background()); err != nil {
			b.Fatal(err)
		}
		stall(b, func() {
			if _, err := p.Run(context.Background(), nil, 0, batch("x")); err == nil {
				b.Error("an endless loop came back")
			}
		})
	})
	b.Run("go", func(b *testing.B) {
		stall(b, func() {
			for began := time.Now(); time.Since(began) < busy; {
			}
		})
	})
	b.Run("plain", func(b *testing.B) {
		spin := plainLoop(b)
		const sample = 1 << 28
		began := time.Now()
		spin(sample)
		rounds := float64(busy) / float64(time.Since(began)) * sample
		stall(b, func() { spin(uint64(min(rounds, 1<<32-1))) })
	})
}

// plainLoop returns a function of plain wazero that counts down from n.
func plainLoop(b *testing.B) func(n uint64) {
	ctx := context.Background()
	m := new(w.Module)
	// loop: local 0 minus 1 into local 0, again if it is not 0
	m.Func("spin", []byte{w.I32}, nil, 0, []byte{0x03, 0x40}, w.Local(0), w.Const(1), w.Sub(), []byte{0x22, 0x00, 0x0d, 0x00, 0x0b})
	r := wazero.NewRuntime(ctx)
	b.Cleanup(func() { _ = r.Close(ctx) })
	guest, err := r.Instantiate(ctx, m.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	f := guest.ExportedFunction("spin")
	return func(n uint64) {
		if _, err := f.Call(ctx, n); err != nil {
			b.Error(err)
		}
	}
}

// held is how long something had to wait at most: by the clock, and by the CPU
// time that the process used meanwhile. The second leaves out when the machine
// was busy with others.
type held struct{ wall, cpu time.Duration }

func (h held) max(wall, cpu time.Duration) held { return held{max(h.wall, wall), max(h.cpu, cpu)} }
func (h held) min(other held) held {
	return held{min(h.wall, other.wall), min(h.cpu, other.cpu)}
}

func (h held) report(b *testing.B, who string) {
	b.ReportMetric(float64(h.wall.Microseconds())/1000, "ms-"+who)
	b.ReportMetric(float64(h.cpu.Microseconds())/1000, "cpu-ms-"+who)
}

// stall runs guest b.N times beside a heartbeat and a collector, and reports how
// long each was held in the quietest run: a busy machine only adds.
func stall(b *testing.B, guest func()) {
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("needs two processors")
	}
	goroutine, collector := held{time.Hour, time.Hour}, held{time.Hour, time.Hour}
	for b.Loop() {
		beat, gc := beside(guest)
		goroutine, collector = goroutine.min(beat), collector.min(gc)
	}
	goroutine.report(b, "goroutine")
	collector.report(b, "gc")
}

// beside runs guest once and returns how long others were held.
func beside(guest func()) (goroutine, collector held) {
	const beat = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	pulse, collect := make(chan held), make(chan held)
	go longest(ctx, pulse, func() { time.Sleep(beat) })
	go longest(ctx, collect, runtime.GC)
	guest()
	cancel()
	return <-pulse, <-collect
}

// longest sends how long do took at most, when ctx ends.
func longest(ctx context.Context, answer chan<- held, do func()) {
	var most held
	for ctx.Err() == nil {
		began, used := time.Now(), cpu()
		do()
		most = most.max(time.Since(began), cpu()-used)
		time.Sleep(time.Millisecond)
	}
	answer <- most
}
