//go:build unix

package host

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// The kernels that are measured: the same work in C and in Rust, with SIMD.
const (
	benchC    = "../../sdk/c/bench/bench.wasm"
	benchRust = "../../sdk/rust/bench/bench.wasm"
)

func readBench(b *testing.B, file string) []byte {
	b.Helper()
	wasm, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return wasm
}

// perRecord reports the CPU time of b.N turns, each over so many records.
func perRecord(b *testing.B, records int, turn func()) {
	b.Helper()
	turn() // buffers grow
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for range b.N {
		turn()
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N*records), "cpu-ns/record")
}

// work is one kind of work, in Go and in the guests.
type work struct {
	name string
	host func(in, out []byte) []byte
}

func works() []work {
	return []work{
		{"filter", func(in, _ []byte) []byte {
			if in[0]%2 == 0 {
				return in
			}
			return nil
		}},
		{"map", func(in, out []byte) []byte {
			out = append(out[:0], in...)
			for i, c := range out {
				if 'a' <= c && c <= 'z' {
					out[i] = c - 'a' + 'A'
				}
			}
			return out
		}},
	}
}

// prose is a record of n bytes that the filter keeps.
func prose(n int) []byte { return bytes.Repeat([]byte("be fair! "), n/9+1)[:n] }

// benchSink keeps the compiler from leaving work out.
var benchSink []byte

// BenchmarkKernel measures one record, or one of a batch. The names are: way, work,
// bytes, batch.
func BenchmarkKernel(b *testing.B) {
	for _, work := range works() {
		for _, size := range []int{100, 1 << 10, 64 << 10} {
			in := prose(size)
			name := work.name + "/" + strconv.Itoa(size)
			b.Run("go/"+name, func(b *testing.B) {
				var out []byte
				perRecord(b, 1, func() { benchSink = work.host(in, out) })
			})
			b.Run("raw/"+name, func(b *testing.B) { benchmarkRaw(b, work.name, in) })
			for _, n := range []int{1, 64} {
				at := name + "/batch=" + strconv.Itoa(n)
				b.Run("k1/"+at, func(b *testing.B) { benchmarkK1(b, benchC, work.name, in, n, true) })
				b.Run("fresh/"+at, func(b *testing.B) { benchmarkK1(b, benchC, work.name, in, n, false) })
				b.Run("fresh-rust/"+at, func(b *testing.B) { benchmarkK1(b, benchRust, work.name, in, n, false) })
				b.Run("ctx-done/"+at, func(b *testing.B) { benchmarkCtxDone(b, work.name, in, n) })
			}
		}
	}
}

// benchmarkRaw calls the function inside the C kernel as directly as wazero
// allows, not metered: input copied in, answer copied out, nothing checked.
func benchmarkRaw(b *testing.B, work string, in []byte) {
	i := instance(b, readBench(b, benchC), []byte("{}"), false, false)
	raw := i.module.ExportedFunction("raw_" + work)
	if err := i.reserve(uint32(2 * len(in))); err != nil {
		b.Fatal(err)
	}
	ctx, mem := context.Background(), i.module.Memory()
	var out []byte
	var stack [3]uint64
	perRecord(b, 1, func() {
		mem.Write(i.in, in)
		stack = [3]uint64{uint64(i.in), uint64(len(in)), uint64(i.in) + uint64(len(in))}
		if err := raw.CallWithStack(ctx, stack[:]); err != nil {
			b.Fatal(err)
		}
		if work == "map" {
			answer, _ := mem.Read(i.in+uint32(len(in)), api.DecodeU32(stack[0]))
			out = append(out[:0], answer...)
		}
		benchSink = out
	})
}

// benchmarkK1 is the whole of a call: frame, account, guest, checked answer. With
// reuse the instance is kept as it is, else put back before each call.
func benchmarkK1(b *testing.B, file, work string, in []byte, n int, reuse bool) {
	o := options(readBench(b, file))
	o.Config, o.Reuse = []byte(`{"op":"`+work+`"}`), reuse
	o.Limits.Memory, o.Limits.Output, o.Limits.Fuel = 64<<20, 16<<20, 1e12
	o.Warmup = &k1.Record{Value: in}
	i, err := compile(b, o).Start(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(i.Close)
	batch := sameRecords(b, in, n)
	batch.Arena = make([]byte, 0, n*(len(in)+8)+4096)
	var ops []k1.Op
	perRecord(b, n, func() {
		if ops, err = i.Run(context.Background(), ops[:0], batch); err != nil {
			b.Fatal(err)
		}
	})
	if len(ops) != n {
		b.Fatalf("%d operations for %d records", len(ops), n)
	}
}

// benchmarkCtxDone is the same module under wazero's own interruption, with a
// deadline for each call.
func benchmarkCtxDone(b *testing.B, work string, in []byte, n int) {
	i := instance(b, readBench(b, benchC), []byte(`{"op":"`+work+`"}`), false, true)
	batch := sameRecords(b, in, n)
	batch.Arena = make([]byte, 0, n*(len(in)+8)+4096)
	i.kernel.Limits.Output = 16 << 20
	var ops []k1.Op
	var err error
	perRecord(b, n, func() {
		ctx, cancel := context.WithTimeout(context.Background(), i.kernel.Limits.Timeout)
		defer cancel()
		if ops, err = i.Run(ctx, ops[:0], batch); err != nil {
			b.Fatal(err)
		}
	})
}

func sameRecords(b *testing.B, in []byte, n int) *k1.Batch {
	b.Helper()
	records := make([]k1.Record, n)
	for i := range records {
		records[i].Value = in
	}
	batch, err := k1.NewBatch(records)
	if err != nil {
		b.Fatal(err)
	}
	return batch
}
