package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(wasm []byte) Options {
	return Options{Name: "guest", Digest: pipeline.DigestOf(wasm), WASM: wasm, Config: []byte("{}"),
		Log:    slog.New(slog.DiscardHandler),
		Limits: Limits{Memory: 1 << 20, Timeout: 10 * time.Second, Output: 64 << 10, Log: 1 << 10}}
}

// compile makes a kernel that ends with the test.
func compile(t testing.TB, o Options) *Kernel {
	t.Helper()
	k, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// pool makes a pool of one instance.
func pool(t testing.TB, o Options) *Pool {
	t.Helper()
	p := NewPool(compile(t, o), 1)
	t.Cleanup(p.Close)
	return p
}

func batch(values ...string) []k1.Record {
	records := make([]k1.Record, len(values))
	for i, v := range values {
		records[i].Value = []byte(v)
	}
	return records
}

// frame is a batch in its encoded form.
func frame(t testing.TB, values ...string) *k1.Batch {
	t.Helper()
	b, err := k1.NewBatch(batch(values...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// failure returns the Failure in err.
func failure(t *testing.T, err error, code string) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a Failure with code %s", err, code)
	}
	if f.Code != code {
		t.Fatalf("got code %s (%v), want %s", f.Code, err, code)
	}
	return f
}

func TestKeepAndDrop(t *testing.T) {
	p := pool(t, options(w.Guest{Answer: w.KeepFirst()}.Bytes()))
	out := p.RunAll(t.Context(), 0, batch("kept", "dropped"))
	if len(out[0].Ops) != 1 || string(out[0].Ops[0].Value) != "kept" || out[0].Err != nil {
		t.Errorf("record 0: %+v", out[0])
	}
	if len(out[1].Ops) != 0 || out[1].Err != nil {
		t.Errorf("record 1: %+v", out[1])
	}
}

// exit returns a guest that calls proc_exit.
func exit(code int32) w.Guest {
	return w.Guest{
		Import: func(m *w.Module) { m.Import("wasi_snapshot_preview1", "proc_exit", []byte{w.I32}, nil) },
		Run:    [][]byte{w.Const(code), w.Call(0), w.Const64(0)},
	}
}

// flood writes to stderr until its memory ends.
func flood() w.Guest {
	iov := []byte{0, 8, 0, 0, 0, 64, 0, 0} // 16 KiB at 2048
	return w.Guest{
		Import: func(m *w.Module) {
			m.Import("wasi_snapshot_preview1", "fd_write", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I32})
		},
		Run: append(manyTimes(200, w.Const(2), w.Const(64), w.Const(1), w.Const(80), w.Call(0), w.Drop()), w.Unreachable()),
		Then: func(m *w.Module) {
			m.Data(64, iov)
			m.Data(2048, bytes.Repeat([]byte("flood!\n."), 2048))
		},
	}
}

func manyTimes(n int, body ...[]byte) [][]byte {
	var out [][]byte
	for range n {
		out = append(out, body...)
	}
	return out
}

// TestHostileGuests: each ends in its typed error, within its limits, and the
// instance is never used again.
func TestHostileGuests(t *testing.T) {
	tests := []struct {
		name    string
		guest   w.Guest
		timeout time.Duration
		code    string
		cause   string
	}{
		{"infinite loop", w.Guest{Run: [][]byte{w.Forever(), w.Const64(0)}}, 20 * time.Millisecond, CodeTimeout, "ran longer than 20ms"},
		{"trap", w.Guest{Run: [][]byte{w.Unreachable()}}, 0, CodeTrap, "unreachable"},
		{"read outside of the memory", w.Guest{Run: [][]byte{w.Const(-8), w.Load(), w.Drop(), w.Const64(0)}}, 0, CodeTrap, "out of bounds memory access"},
		{"endless recursion", w.Guest{Run: [][]byte{w.Local(0), w.Local(1), w.Call(3)}}, time.Minute, CodeTrap, "stack overflow"},
		{"growth beyond the limit", w.Guest{Run: [][]byte{w.Repeat(w.Const(1), w.Grow(), w.Negative(), w.If(w.Unreachable())), w.Const64(0)}}, 0, CodeMemory, "more than 1048576 bytes"},
		{"growth in one step", w.Guest{Run: [][]byte{w.Const(60000), w.Grow(), w.Negative(), w.If(w.Unreachable()), w.Const64(0)}}, 0, CodeMemory, "more than 1048576 bytes"},
		{"exit 3", exit(3), 0, CodeExit, "exited with code 3"},
		{"exit 0", exit(0), 0, CodeExit, "exited with code 0"},
		{"stderr flood", flood(), 0, CodeTrap, "unreachable"},
		{"answer behind the memory", w.Guest{Run: [][]byte{w.Packed(1<<20, 16)}}, 0, CodeBadFrame, "1048576"},
		{"answer across the end of the memory", w.Guest{Run: [][]byte{w.Packed(8*65536-8, 16)}}, 0, CodeBadFrame, "memory has 524288"},
		{"answer whose end overflows 32 bits", w.Guest{Run: [][]byte{w.Packed(1<<31-1, 60000)}}, 0, CodeBadFrame, "memory has 524288"},
		{"answer beyond the output limit", w.Guest{Run: [][]byte{w.Packed(1024, 64<<10+1)}}, 0, CodeOutput, "the limit is 65536"},
		{"no answer", w.Guest{Run: [][]byte{w.Const64(0)}}, 0, CodeBadFrame, "0 bytes"},
		{"garbage", w.Guest{Answer: []byte("this is not a frame of k1")}, 0, CodeBadFrame, "total"},
		{"source from nowhere", w.Guest{Answer: append([]byte{1, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, make([]byte, 20)...)}, 0, CodeBadFrame, "operation 0: source 4294967295"},
		{"negative answer", w.Guest{Run: [][]byte{w.Const64(-7)}}, 0, CodeError, "code -7"},
		{"log from outside of the memory", logs(-4, 100), 0, CodeTrap, "log: 100 bytes at 4294967292 lie outside"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(tt.guest.Bytes())
			if tt.timeout > 0 {
				o.Limits.Timeout = tt.timeout
			}
			p := pool(t, o)
			for range 2 { // the second time in an instance of its own
				_, err := p.Run(t.Context(), nil, 0, batch("x"))
				f := failure(t, err, tt.code)
				if !strings.Contains(f.Cause, tt.cause) {
					t.Errorf("cause %q, want %q in it", f.Cause, tt.cause)
				}
				if len(f.Stderr) > stderrKept {
					t.Errorf("%d bytes of stderr", len(f.Stderr))
				}
			}
			if len(p.free.all) > 0 && p.free.all[0].Broken() {
				t.Error("a broken instance came back into the pool")
			}
		})
	}
}

// logs returns a guest that logs n bytes at ptr.
func logs(ptr, n int32) w.Guest {
	return w.Guest{
		Import: func(m *w.Module) { m.Import("kernel/1", "log", []byte{w.I32, w.I32, w.I32}, nil) },
		Run:    [][]byte{w.Const(1), w.Const(ptr), w.Const(n), w.Call(0), w.Packed(w.AnswerAt, 16)},
	}
}

func TestTrapNamesKernelFramesAndMessage(t *testing.T) {
	g := w.Guest{
		Import: func(m *w.Module) { m.Import("kernel/1", "fail", []byte{w.I32, w.I32, w.I32}, nil) },
		Run:    [][]byte{w.Const(1), w.Const(4096), w.Const(8), w.Call(0), w.Unreachable()},
		Then:   func(m *w.Module) { m.Data(4096, []byte("no paper")) },
	}
	o := options(g.Bytes())
	_, err := pool(t, o).Run(t.Context(), nil, 0, batch("x"))
	f := failure(t, err, CodeTrap)
	if f.Kernel != "guest" || f.Digest != o.Digest || f.Message != "no paper" || len(f.Frames) == 0 {
		t.Errorf("incomplete: %+v", f)
	}
	for _, part := range []string{"guest", o.Digest.Short(), "unreachable", "no paper", f.Frames[0]} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
}

func TestStderrIsInTheFailure(t *testing.T) {
	_, err := pool(t, options(flood().Bytes())).Run(t.Context(), nil, 0, batch("x"))
	f := failure(t, err, CodeTrap)
	if len(f.Stderr) != stderrKept || !strings.HasSuffix(f.Stderr, "flood!\n.") {
		t.Errorf("%d bytes ending in %q", len(f.Stderr), f.Stderr[max(0, len(f.Stderr)-20):])
	}
}

func TestCancelIsTheCallers(t *testing.T) {
	p := pool(t, options(w.Guest{Run: [][]byte{w.Forever(), w.Const64(0)}}.Bytes()))
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Run(ctx, nil, 0, batch("x"))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || pipeline.KindOf(err) != pipeline.Cancelled {
		t.Errorf("got %v, want a cancel", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Run(ctx, nil, 0, batch("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline", err)
	}
}

func TestInit(t *testing.T) {
	refuses := w.Guest{Init: [][]byte{w.Const64(-2)}}
	if err := pool(t, options(refuses.Bytes())).Warm(t.Context()); err == nil {
		t.Error("a kernel that refuses its configuration started")
	} else {
		failure(t, err, CodeInit)
	}
	failure(t, pool(t, options(w.Guest{ABI: 4}.Bytes())).Warm(t.Context()), CodeExports)
	failure(t, pool(t, options(w.Guest{Buffer: 8}.Bytes())).Warm(t.Context()), CodeBadFrame)
	failure(t, pool(t, options(w.Guest{Buffer: 8*65536 - 16}.Bytes())).Warm(t.Context()), CodeBadFrame)
	start := w.Guest{Then: func(m *w.Module) { m.Start(m.Func("", nil, nil, 0, w.Unreachable())) }}
	failure(t, pool(t, options(start.Bytes())).Warm(t.Context()), CodeTrap)
}

// TestLostMessagesOfATrapAreTold, too: it is then that somebody looks for them.
func TestLostMessagesOfATrapAreTold(t *testing.T) {
	var out bytes.Buffer
	o := options(w.Guest{
		Import: func(m *w.Module) { m.Import("kernel/1", "log", []byte{w.I32, w.I32, w.I32}, nil) },
		Run:    append(manyTimes(50, w.Const(1), w.Const(4096), w.Const(0), w.Call(0)), w.Unreachable()),
	}.Bytes())
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	_, err := pool(t, o).Run(t.Context(), nil, 0, batch("x"))
	if failure(t, err, CodeTrap); strings.Count(out.String(), "lost=34") != 1 {
		t.Error(out.String())
	}
}

// A message costs its bytes and 64 for its line, so that empty ones are bounded too.
func TestLogIsBounded(t *testing.T) {
	for _, tt := range []struct {
		size    int32
		message string
		want    int
	}{{100, "msg=mmm", 6}, {0, `msg=""`, 16}} {
		var out bytes.Buffer
		o := options(w.Guest{
			Import: func(m *w.Module) { m.Import("kernel/1", "log", []byte{w.I32, w.I32, w.I32}, nil) },
			Run:    append(manyTimes(50, w.Const(1), w.Const(4096), w.Const(tt.size), w.Call(0)), w.Packed(w.AnswerAt, 16)),
			Then:   func(m *w.Module) { m.Data(4096, bytes.Repeat([]byte("m"), 100)) },
		}.Bytes())
		o.Log = slog.New(slog.NewTextHandler(&out, nil))
		if _, err := pool(t, o).Run(t.Context(), nil, 0, batch("x")); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), tt.message); got != tt.want {
			t.Errorf("%d messages of %d bytes within 1 KiB, want %d", got, tt.size, tt.want)
		}
		if !strings.Contains(out.String(), fmt.Sprintf("lost=%d", 50-tt.want)) {
			t.Errorf("the loss is not told: %s", out.String())
		}
	}
}

func TestDeniedState(t *testing.T) {
	g := w.Guest{
		Import: func(m *w.Module) {
			m.Import("kernel/1", "state_get", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I64})
		},
		// state_get answers -1, which is also what the kernel then fails with.
		Run: [][]byte{w.Const(0), w.Const(0), w.Const(0), w.Const(0), w.Call(0)},
	}
	_, err := pool(t, options(g.Bytes())).Run(t.Context(), nil, 0, batch("x"))
	if f := failure(t, err, CodeError); !strings.Contains(f.Cause, "code -1") {
		t.Errorf("state_get answered %s", f.Cause)
	}
}

// TestCallsThatFailCountNothing, nor does the warm-up record, which is run many
// times; nor do they log. A batch that is bisected counts each record once.
func TestCallsThatFailCountNothing(t *testing.T) {
	g := counting()
	g.Import = func(m *w.Module) {
		m.Import("kernel/1", "counter", []byte{w.I32, w.I64}, nil)
		m.Import("kernel/1", "log", []byte{w.I32, w.I32, w.I32}, nil)
	}
	g.Run = append([][]byte{w.Const(3), w.Const64(5), w.Call(0), w.Const(1), w.Const(0), w.Const(0), w.Call(1)}, g.Run...)
	o := options(g.Bytes())
	o.Warmup = &k1.Record{Value: []byte("warm")}
	var out bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	p := pool(t, o)
	if err := p.Warm(t.Context()); err != nil || out.Len() > 0 {
		t.Fatalf("%v; the warm-up logged %s", err, out.String())
	}
	for _, values := range [][]string{{"a"}, {"b", string(make([]byte, 4000)), "c"}} {
		p.RunAll(t.Context(), 0, batch(values...))
	}
	if got := p.kernel.Counters()[3]; got != 3*5 {
		t.Errorf("counter 3 is %d, want 15", got)
	}
}

func TestTrapInTheStartSection(t *testing.T) {
	g := w.Guest{Then: func(m *w.Module) { m.Start(m.Func("", nil, nil, 0, w.Unreachable())) }}
	err := pool(t, options(g.Bytes())).Warm(t.Context())
	if f := failure(t, err, CodeTrap); f.Cause != "trap: start function failed: unreachable" {
		t.Errorf("cause %q", f.Cause)
	}
}
