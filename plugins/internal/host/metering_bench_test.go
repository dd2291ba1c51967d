//go:build unix

package host

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// cpu is the CPU time of the process so far, garbage collection included.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// way is a way to call a kernel: once, with the frame in its buffer.
type way func()

// instance starts a module, metered or not, in a runtime of its own.
func instance(b *testing.B, wasm, config []byte, metered, ctxDone bool) *Instance {
	b.Helper()
	ctx := context.Background()
	if metered {
		out, err := meter.Rewrite(wasm, meter.DefaultCaps())
		if err != nil {
			b.Fatal(err)
		}
		wasm = out.WASM
	}
	o := options(wasm)
	o.Limits.Memory, o.Limits.Output, o.Config = 64<<20, 1<<20, config
	o.State = Lane // a plain module shows no globals, so it cannot be put back
	k := &Kernel{Options: o, counters: map[uint32]int64{}}
	k.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(ctxDone))
	for _, add := range []func(context.Context, wazero.Runtime) error{wasi.Instantiate, instantiateImports, instantiateMeter} {
		if err := add(ctx, k.runtime); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if k.compiled, err = k.runtime.CompileModule(ctx, wasm); err != nil {
		b.Fatal(err)
	}
	s := &session{kernel: k, memory: memory{limit: o.Limits.Memory}, stderr: ring{size: stderrKept}}
	s.context.s, s.world = s, wasi.World{Stdout: &s.stderr, Stderr: &s.stderr}
	s.begin(ctx, initTime, initFuel, nil)
	s.module, err = k.runtime.InstantiateModule(experimental.WithMemoryAllocator(&s.context, s.memory.allocator()), k.compiled,
		wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	if g := s.module.ExportedGlobal(meter.ExportFuel); g != nil {
		s.tank.counter = g.(api.MutableGlobal)
	}
	i := &Instance{session: s, run: s.module.ExportedFunction("k1_run"), buffer: s.module.ExportedFunction("k1_buffer")}
	if err := i.settle(i.start()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { i.Close(); _ = k.Close(ctx) })
	return i
}

// ways returns plain wazero twice (A/A), the metered call, wazero's own
// interruption with a deadline per call, and the whole of Instance.Run.
func ways(b *testing.B, wasm, config []byte, batch *k1.Batch) (names []string, calls []way) {
	ctx := context.Background()
	ready := func(i *Instance) {
		if _, err := i.Run(ctx, nil, batch); err != nil { // leaves the frame in the buffer
			b.Fatal(err)
		}
	}
	direct := func(i *Instance) {
		if _, err := i.call(i.run, uint64(i.in), uint64(batch.Size())); err != nil {
			b.Fatal(err)
		}
	}
	plain, metered, done := instance(b, wasm, config, false, false), instance(b, wasm, config, true, false), instance(b, wasm, config, false, true)
	for _, i := range []*Instance{plain, metered, done} {
		ready(i)
	}
	add := func(name string, call way) { names, calls = append(names, name), append(calls, call) }
	add("plain", func() { direct(plain) })
	add("A/A", func() { direct(plain) })
	add("metered", func() {
		metered.begin(ctx, time.Minute, 0, nil)
		direct(metered)
		_ = metered.settle(nil)
	})
	add("ctx-done", func() {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		done.begin(limited, time.Minute, 0, nil)
		direct(done)
	})
	add("k1", func() { ready(metered) })
	return names, calls
}

// loop runs body n times; it uses local 0, a parameter.
func loop(n int32, body ...[]byte) []byte {
	out := append(w.Const(n), 0x21, 0, 0x03, 0x40)
	for _, b := range body {
		out = append(out, b...)
	}
	return append(out, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b)
}

// upper changes the byte of memory at local 0: load8_u, minus 32 if it is a small
// letter, store8.
func upper() []byte {
	return []byte{0x20, 0, 0x20, 0, 0x2d, 0, 0, 0x22, 1, 0x20, 1, 0x41, 0xe1, 0, 0x6b, 0x41, 26, 0x49, 0x41, 5, 0x74, 0x6b, 0x3a, 0, 0}
}

// fib is the recursive function of that index, i32 to i32.
func fib(m *w.Module, index uint32) {
	m.Func("", []byte{w.I32}, []byte{w.I32}, 0, []byte{0x20, 0, 0x41, 2, 0x48, 0x04, 0x7f, 0x20, 0, 0x05,
		0x20, 0, 0x41, 1, 0x6b}, w.Call(index), []byte{0x20, 0, 0x41, 2, 0x6b}, w.Call(index), []byte{0x6a, 0x0b})
}

// kernels are the guests of the benchmark.
func kernels(b *testing.B) map[string]struct {
	wasm, config []byte
	input        string
} {
	answer := w.Packed(w.AnswerAt, 16)
	type kernel = struct {
		wasm, config []byte
		input        string
	}
	guest := func(g w.Guest) kernel { return kernel{g.Bytes(), []byte("{}"), "x"} }
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "doc", "go_spec.html"))
	if err != nil {
		b.Fatal(err)
	}
	return map[string]kernel{
		"nop":        guest(w.Guest{}),
		"empty-loop": guest(w.Guest{Run: [][]byte{loop(10_000), answer}}),
		"upper-1KiB": guest(w.Guest{Run: [][]byte{loop(1024, upper()), answer}}),
		"fib-15":     guest(w.Guest{Run: [][]byte{w.Const(15), w.Call(4), w.Drop(), answer}, Then: func(m *w.Module) { fib(m, 4) }}),
		"readable":   {readable(b), []byte(`{"minWords":20}`), string(page)},
	}
}

// readable builds the example's kernel, which is Go.
func readable(b *testing.B) []byte {
	b.Helper()
	out := filepath.Join(b.TempDir(), "readable.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-o", out, ".")
	cmd.Dir = filepath.Join("..", "..", "..", "examples", "capture", "kernels", "readable")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Clone(wasm)
}

// BenchmarkMetering prints the CPU time of a plain call and what the other ways
// cost relative to it: medians of interleaved rounds. The ratio of A/A is noise.
func BenchmarkMetering(b *testing.B) {
	for name, k := range kernels(b) {
		b.Run(name, func(b *testing.B) {
			names, calls := ways(b, k.wasm, k.config, frame(b, k.input))
			perRound := 1
			for started := cpu(); cpu()-started < 5*time.Millisecond; perRound++ {
				calls[0]()
			}
			times := make([][]float64, len(calls))
			for b.Loop() {
				for i, call := range calls {
					started := cpu()
					for range perRound {
						call()
					}
					times[i] = append(times[i], float64(cpu()-started)/float64(perRound))
				}
			}
			var plain float64
			for i, t := range times {
				slices.Sort(t)
				if median := t[len(t)/2]; i == 0 {
					plain = median
					b.ReportMetric(plain, "plain-ns")
				} else {
					b.ReportMetric(median/plain, names[i]+"-x")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
