package host

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// env is a plug-in under construction; its functions call those of the host by
// name.
type env struct {
	*w.Module
	funcs map[string]uint32
}

// newEnv imports all of Extism's functions and some of WASI's.
func newEnv() env {
	e := env{new(w.Module), map[string]uint32{}}
	for _, name := range []string{"alloc", "free", "length", "store_u8", "store_u64", "load_u64", "input_offset", "input_length", "input_load_u8",
		"input_load_u64", "output_set", "error_set", "config_get", "var_get", "var_set", "log_info", "get_log_level", "http_status_code"} {
		f := extismFunctions()[name]
		e.funcs[name] = e.Import(module.ImportExtism, name, f.params, f.results)
	}
	e.funcs["random_get"] = e.Import(module.ImportWASI, "random_get", []byte{w.I32, w.I32}, []byte{w.I32})
	e.funcs["clock_time_get"] = e.Import(module.ImportWASI, "clock_time_get", []byte{w.I32, w.I64, w.I32}, []byte{w.I32})
	e.funcs["proc_exit"] = e.Import(module.ImportWASI, "proc_exit", []byte{w.I32}, nil)
	e.Memory(1)
	return e
}

func (e env) call(name string, args ...[]byte) []byte {
	return append(bytes.Join(args, nil), w.Call(e.funcs[name])...)
}

// plugin assembles a plug-in whose function run has a body.
func plugin(body func(e env) [][]byte) []byte {
	e := newEnv()
	e.Func("run", nil, nil, 0, body(e)...)
	return e.Bytes()
}

// input is the address of the input, which a plug-in may overwrite and answer.
func (e env) input() []byte { return e.call("input_offset") }

var (
	sub64 = []byte{0x7d}
	add64 = []byte{0x7c}
)

// extismOptions has room for the kernel and some input.
func extismOptions(wasm []byte) Options {
	o := options(wasm)
	o.Limits.Memory = 4 << 20
	return o
}

func runExtism(t *testing.T, o Options, input string) (CommandResult, error) {
	t.Helper()
	return compile(t, o).RunExtism(t.Context(), []byte(input), 1_700_000_000_000_000_000, 7, nil)
}

func TestHostilePlugins(t *testing.T) {
	block := strings.Repeat("x", 64)
	start := func(body func(e env) [][]byte) []byte {
		e := newEnv()
		e.Func("run", nil, nil, 0)
		e.Start(e.Func("", nil, nil, 0, body(e)...))
		return e.Bytes()
	}
	initialize := func(body func(e env) [][]byte) []byte {
		e := newEnv()
		e.Func("_initialize", nil, nil, 0, body(e)...)
		e.Func("run", nil, nil, 0)
		return e.Bytes()
	}
	one := func(body func(e env) []byte) func(e env) [][]byte {
		return func(e env) [][]byte { return [][]byte{body(e)} }
	}
	forever := one(func(env) []byte { return w.Forever() })
	tests := []struct {
		name, code, text string
		wasm             []byte
	}{
		{"loops", CodeFuel, "used up its fuel, 3000000 units", plugin(forever)},
		{"loops in its start section", CodeFuel, "3000000", start(forever)},
		{"loops in _initialize", CodeFuel, "3000000", initialize(forever)},
		{"calls the host in its start section", CodeTrap, "before the plug-in was started", start(one(func(e env) []byte { return append(e.input(), w.Drop()...) }))},
		{"exits in _initialize", CodeExit, "exited with code 3", initialize(one(func(e env) []byte { return e.call("proc_exit", w.Const(3)) }))},
		{"exits", CodeExit, "exited with code 9", plugin(one(func(e env) []byte { return e.call("proc_exit", w.Const(9)) }))},
		{"traps", CodeTrap, "unreachable", plugin(one(func(env) []byte { return w.Unreachable() }))},
		{"grows its memory for ever", CodeMemory, "4194304 bytes", plugin(func(e env) [][]byte {
			return [][]byte{w.Repeat(w.Const(4), w.Grow(), w.Negative(), w.If(w.Unreachable()))}
		})},
		{"allocates for ever", CodeMemory, "no room for a block of 65536", plugin(func(e env) [][]byte {
			return [][]byte{w.Repeat(e.call("alloc", w.Const64(65536)), w.Drop())}
		})},
		{"allocates tiny blocks for ever", CodeFuel, "3000000", plugin(func(e env) [][]byte {
			return [][]byte{w.Repeat(e.call("alloc", w.Const64(1)), w.Drop())}
		})},
		{"allocates more than there is", CodeMemory, "no room", plugin(func(e env) [][]byte {
			return [][]byte{e.call("alloc", w.Const64(-1)), w.Drop()}
		})},
		{"writes into the kernel's headers", CodeTrap, "lie in no block", plugin(func(e env) [][]byte {
			return [][]byte{e.call("store_u64", append(append(e.input(), w.Const64(8)...), sub64...), w.Const64(0))}
		})},
		{"writes behind a block", CodeTrap, "lie in no block", plugin(func(e env) [][]byte {
			return [][]byte{e.call("store_u64", append(append(e.input(), w.Const64(57)...), add64...), w.Const64(0))}
		})},
		{"writes where nothing is", CodeTrap, "lie in no block", plugin(func(e env) [][]byte {
			return [][]byte{e.call("store_u8", w.Const64(-1), w.Const(1))}
		})},
		{"writes into a freed block", CodeTrap, "lie in no block", plugin(func(e env) [][]byte {
			return [][]byte{e.call("free", e.input()), e.call("store_u8", e.input(), w.Const(1))}
		})},
		{"reads outside", CodeTrap, "outside the memory", plugin(func(e env) [][]byte {
			return [][]byte{e.call("load_u64", w.Const64(1<<33)), w.Drop()}
		})},
		{"keeps too much", CodeMemory, "variables take more than 1048576", plugin(func(e env) [][]byte {
			return [][]byte{w.Repeat(e.call("var_set", e.call("alloc", w.Const64(10)), e.call("alloc", w.Const64(200<<10))),
				e.call("var_set", e.call("alloc", w.Const64(11)), e.call("alloc", w.Const64(200<<10))),
				e.call("var_set", e.call("alloc", w.Const64(12)), e.call("alloc", w.Const64(200<<10))),
				e.call("var_set", e.call("alloc", w.Const64(13)), e.call("alloc", w.Const64(200<<10))),
				e.call("var_set", e.call("alloc", w.Const64(14)), e.call("alloc", w.Const64(200<<10))),
				e.call("var_set", e.call("alloc", w.Const64(15)), e.call("alloc", w.Const64(200<<10))))}
		})},
		{"answers too much", CodeOutput, "answered with 65537 bytes", plugin(func(e env) [][]byte {
			return [][]byte{e.call("output_set", e.call("alloc", w.Const64(64<<10+1)), w.Const64(64<<10+1))}
		})},
		{"answers with what it does not have", CodeTrap, "4294967295 bytes", plugin(func(e env) [][]byte {
			return [][]byte{e.call("output_set", e.input(), w.Const64(1<<32-1))}
		})},
		{"answers from outside", CodeTrap, "outside the memory", plugin(func(e env) [][]byte {
			return [][]byte{e.call("output_set", w.Const64(-8), w.Const64(16))}
		})},
		{"reports an error", CodeError, block, plugin(func(e env) [][]byte { return [][]byte{e.call("error_set", e.input())} })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := extismOptions(tt.wasm)
			o.Limits.Fuel = 3_000_000
			if tt.code == CodeMemory && strings.Contains(tt.text, "variables") {
				o.Limits.Memory = 8 << 20
			}
			out, err := runExtism(t, o, block)
			f := failure(t, err, tt.code)
			if !strings.Contains(f.Error(), tt.text) {
				t.Errorf("got %v, want %q in it", f, tt.text)
			}
			if out.Fuel <= 0 || out.Fuel > o.Limits.Fuel {
				t.Errorf("fuel %d of %d", out.Fuel, o.Limits.Fuel)
			}
		})
	}
}

func TestExtismTimeAndBudget(t *testing.T) {
	wasm := plugin(func(env) [][]byte { return [][]byte{w.Forever()} })
	o := extismOptions(wasm)
	o.Limits.Timeout = time.Nanosecond
	k := compile(t, o)
	_, err := k.RunExtism(t.Context(), nil, 0, 0, nil)
	failure(t, err, CodeTimeout)

	budget := pipeline.NewBudget(123_456, 0)
	out, err := compile(t, extismOptions(wasm)).RunExtism(t.Context(), nil, 0, 0, budget)
	failure(t, err, CodeBudget)
	if left, _ := budget.Left(pipeline.UnitFuel); out.Fuel != 123_456 || left != 0 {
		t.Errorf("spent %d, left %d", out.Fuel, left)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.RunExtism(ctx, nil, 0, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestExtismInputMustFit(t *testing.T) {
	o := extismOptions(plugin(func(e env) [][]byte { return [][]byte{e.call("output_set", e.input(), e.call("input_length"))} }))
	o.Limits.Output = 4 << 20
	if out, err := runExtism(t, o, strings.Repeat("a", 2500<<10)); err != nil || len(out.Output) != 2500<<10 {
		t.Errorf("%d bytes, %v", len(out.Output), err)
	}
	_, err := runExtism(t, o, strings.Repeat("a", 3100<<10))
	failure(t, err, CodeMemory)
	o.Limits.Memory = 1 << 20
	_, err = New(t.Context(), o)
	failure(t, err, CodeMemory)
}

// What a plug-in sees of time and chance is the item's, and each item gets an
// instance that has seen no other.
func TestExtismIsDeterministic(t *testing.T) {
	wasm := plugin(func(e env) [][]byte {
		at := func(n int64) []byte { return append(append(e.input(), w.Const64(n)...), add64...) }
		return [][]byte{
			e.call("random_get", w.Const(0), w.Const(4)), w.Drop(), e.call("clock_time_get", w.Const(0), w.Const64(1), w.Const(8)), w.Drop(),
			e.call("store_u8", at(0), append(w.Const(0), w.Load()...)), e.call("store_u8", at(1), append(w.Const(1), w.Load()...)),
			e.call("store_u8", at(2), append(w.Const(2), w.Load()...)), e.call("store_u8", at(3), append(w.Const(13), w.Load()...)),
			// a variable that an instance before might have left
			e.call("store_u8", at(4), append(e.call("var_get", e.call("alloc", w.Const64(3))), 0xa7)), // i32.wrap_i64
			e.call("var_set", e.call("alloc", w.Const64(3)), e.call("alloc", w.Const64(3))),
			e.call("output_set", e.input(), w.Const64(5)),
		}
	})
	k := compile(t, extismOptions(wasm))
	run := func(now, seed uint64) string {
		out, err := k.RunExtism(t.Context(), []byte("12345"), now, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(out.Output)
	}
	first := run(1<<40, 1)
	if again := run(1<<40, 1); again != first {
		t.Errorf("%x, then %x", first, again)
	}
	if first[3] != 1 || first[4] != 0 { // byte 5 of the time; no variable
		t.Errorf("%x", first)
	}
	if other := run(2<<40, 2); other[:3] == first[:3] || other[3] != 2 {
		t.Errorf("another time and seed: %x and %x", first, other)
	}
}

func TestExtismLogs(t *testing.T) {
	var log bytes.Buffer
	o := extismOptions(plugin(func(e env) [][]byte {
		return [][]byte{e.call("log_info", e.input()), e.call("log_info", e.call("alloc", w.Const64(2000)))}
	}))
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := runExtism(t, o, "a message"); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, `level=INFO msg="a message" kernel=guest`) || !strings.Contains(text, "lost=1") {
		t.Errorf("got %s", text)
	}
}

// The functions of the host are those that the check before loading expects.
func TestExtismSignatures(t *testing.T) {
	want := module.ExtismImports()
	for name, f := range extismFunctions() {
		if got := module.MakeSig(f.params, f.results); got != want[name] {
			t.Errorf("%s is %s, the check wants %q", name, got, want[name])
		}
	}
	if len(want) != len(extismFunctions()) {
		t.Errorf("%d functions, the check knows %d", len(extismFunctions()), len(want))
	}
}

// A plug-in's code is found in the store, and nothing else gets into it.
func TestExtismCache(t *testing.T) {
	o := extismOptions(plugin(func(e env) [][]byte { return [][]byte{e.call("output_set", e.input(), w.Const64(1))} }))
	var log bytes.Buffer
	o.CacheDir, o.Log = t.TempDir()+"/kernels", slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		if out, err := runExtism(t, o, "abc"); err != nil || string(out.Output) != "a" {
			t.Errorf("%q %v", out.Output, err)
		}
	}
	if log.Len() > 0 {
		t.Errorf("the store was found damaged: %s", &log)
	}
}

// A kernel may be called by several carriers at the same time.
func TestExtismAtTheSameTime(t *testing.T) {
	k := compile(t, extismOptions(plugin(func(e env) [][]byte {
		return [][]byte{e.call("output_set", e.input(), e.call("input_length"))}
	})))
	var wg sync.WaitGroup
	fuel := make([]int64, 4)
	for n := range fuel {
		wg.Go(func() {
			for range 5 {
				input := strings.Repeat(string(rune('a'+n)), 100)
				out, err := k.RunExtism(t.Context(), []byte(input), 0, 0, nil)
				if err != nil || string(out.Output) != input {
					t.Errorf("%q %v", out.Output, err)
				}
				fuel[n] = out.Fuel
			}
		})
	}
	wg.Wait()
	if slices.Min(fuel) != slices.Max(fuel) || fuel[0] == 0 {
		t.Errorf("fuel %v", fuel)
	}
}

func TestExtismKeepsNoState(t *testing.T) {
	o := extismOptions(plugin(func(env) [][]byte { return nil }))
	o.State = Lane
	_, err := New(t.Context(), o)
	failure(t, err, CodeBad)
}
