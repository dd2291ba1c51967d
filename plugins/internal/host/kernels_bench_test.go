//go:build unix

package host

import (
	"bytes"
	"context"
	"os"
	"slices"
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
			for _, n := range []int{1, 64} {
				at := name + "/batch=" + strconv.Itoa(n)
				b.Run("raw/"+at, func(b *testing.B) { benchmarkRaw(b, work.name, in, n) })
				b.Run("frame/"+at, func(b *testing.B) { benchmarkFrame(b, work.name, in, n) })
				b.Run("k1/"+at, func(b *testing.B) { benchmarkK1(b, benchC, work.name, in, n, true) })
				b.Run("fresh/"+at, func(b *testing.B) { benchmarkK1(b, benchC, work.name, in, n, false) })
				b.Run("fresh-rust/"+at, func(b *testing.B) { benchmarkK1(b, benchRust, work.name, in, n, false) })
				b.Run("ctx-done/"+at, func(b *testing.B) { benchmarkCtxDone(b, work.name, in, n) })
			}
		}
	}
}

// benchmarkRaw calls the function inside the C kernel as directly as wazero
// allows, not metered: input copied in, answer copied out, nothing checked. The
// answers of a batch are all there at its end, as those of k1 are.
func benchmarkRaw(b *testing.B, work string, in []byte, n int) {
	i := instance(b, readBench(b, benchC), []byte("{}"), false, false)
	raw := i.module.ExportedFunction("raw_" + work)
	if err := i.reserve(uint32(2 * len(in))); err != nil {
		b.Fatal(err)
	}
	ctx, mem := context.Background(), i.module.Memory()
	answers := make([][]byte, n)
	var stack [3]uint64
	perRecord(b, n, func() {
		for r := range answers {
			mem.Write(i.in, in)
			stack = [3]uint64{uint64(i.in), uint64(len(in)), uint64(i.in) + uint64(len(in))}
			if err := raw.CallWithStack(ctx, stack[:]); err != nil {
				b.Fatal(err)
			}
			if work == "map" {
				answer, _ := mem.Read(i.in+uint32(len(in)), api.DecodeU32(stack[0]))
				answers[r] = append(answers[r][:0], answer...)
			}
		}
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
	batches := sameRecords(b, in, n)
	ops := make([][]k1.Op, len(batches))
	perRecord(b, n, func() {
		for f, batch := range batches {
			if ops[f], err = i.Run(context.Background(), ops[f][:0], batch); err != nil {
				b.Fatal(err)
			}
		}
	})
	if got := slices.Concat(ops...); len(got) != n {
		b.Fatalf("%d operations for %d records", len(got), n)
	}
}

// benchmarkFrame is the frame and nothing else: the same kernel with the same
// frames, not metered, without account, limits or context. What k1 takes longer
// is the price of containment; what this takes longer than raw is the price of
// the interface.
func benchmarkFrame(b *testing.B, work string, in []byte, n int) {
	i := instance(b, readBench(b, benchC), []byte(`{"op":"`+work+`"}`), false, false)
	batches := sameRecords(b, in, n)
	ops := make([][]k1.Op, len(batches))
	if err := i.reserve(batches[0].Size()); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	perRecord(b, n, func() {
		for f, batch := range batches {
			frame, _ := i.memory.view(i.in, batch.Size())
			batch.Encode(frame)
			i.stack = [2]uint64{uint64(i.in), uint64(batch.Size())}
			if err := i.run.CallWithStack(ctx, i.stack[:]); err != nil {
				b.Fatal(err)
			}
			answer, _ := i.memory.view(uint32(i.stack[0]>>32), uint32(i.stack[0]))
			var err error
			if ops[f], err = batch.Decode(ops[f][:0], answer); err != nil {
				b.Fatal(err)
			}
		}
	})
	if got := slices.Concat(ops...); len(got) != n {
		b.Fatalf("%d operations for %d records", len(got), n)
	}
}

// benchmarkCtxDone is the same module under wazero's own interruption, with a
// deadline for each call.
func benchmarkCtxDone(b *testing.B, work string, in []byte, n int) {
	i := instance(b, readBench(b, benchC), []byte(`{"op":"`+work+`"}`), false, true)
	batches := sameRecords(b, in, n)
	i.kernel.Limits.Output = 16 << 20
	var ops []k1.Op
	var err error
	perRecord(b, n, func() {
		for _, batch := range batches {
			ctx, cancel := context.WithTimeout(context.Background(), i.kernel.Limits.Timeout)
			if ops, err = i.Run(ctx, ops[:0], batch); err != nil {
				b.Fatal(err)
			}
			cancel()
		}
	})
}

// sameRecords are n records in the frames that RunAll makes of them, each with
// room for its answer.
func sameRecords(b *testing.B, in []byte, n int) (batches []*k1.Batch) {
	b.Helper()
	records := make([]k1.Record, n)
	for i := range records {
		records[i].Value = in
	}
	for len(records) > 0 {
		n := cut(records)
		batch, err := k1.NewBatch(records[:n])
		if err != nil {
			b.Fatal(err)
		}
		batch.Arena = make([]byte, 0, n*(len(in)+8)+4096)
		batches, records = append(batches, batch), records[n:]
	}
	return batches
}
