package witness

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// BenchmarkWitness is one durable receipt, by batch size. The wait for the disk is
// shared by a batch, so most of the time per item goes as its size grows.
func BenchmarkWitness(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			r := newRig(b, b.TempDir())
			template := r.item(b, "x")
			b.ReportAllocs()
			n, cpu := 0, cpuTime()
			for b.Loop() {
				items := make([]*pipeline.Item, size)
				for i := range items {
					it := *template
					it.ID = fmt.Sprintf("item-%d", n)
					n++
					items[i] = &it
				}
				for _, err := range r.stage.ProcessBatch(b.Context(), items) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "us/item")
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(n), "cpu-us/item")
		})
	}
}

// cpuTime is what this process has used so far, which a busy machine does not
// change.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCompose is the floor: the statement alone, without log and disk.
func BenchmarkCompose(b *testing.B) {
	r := newRig(b, b.TempDir())
	it := r.item(b, "x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compose(it, pipeline.Outcome{Result: pipeline.Succeeded}, r.stage.env.Run, fixedTime); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is the check of one receipt of a log of 1,000, the share of the
// log included.
func BenchmarkVerify(b *testing.B) {
	r := newRig(b, b.TempDir())
	for i := range 4 {
		r.witness(b, ids(fmt.Sprint(i), 250)...)
	}
	n := 0
	for b.Loop() {
		n += len(verify(b, r.request())) - 1
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "us/receipt")
}
