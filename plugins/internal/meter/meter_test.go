package meter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// one makes a module with one exported function () -> (), with memory.
func one(body ...[]byte) []byte {
	m := new(w.Module)
	m.Memory(1)
	m.Func("f", nil, nil, 1, body...)
	return m.Bytes()
}

// bill runs the export f of a metered module and returns what it was charged,
// with a yield that gives so much at a time.
func bill(t *testing.T, wasm []byte, slice int64, args ...uint64) int64 {
	t.Helper()
	out, err := meter.Rewrite(wasm, meter.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer func() { _ = r.Close(ctx) }()
	given := int64(0)
	yield := api.GoFunc(func(_ context.Context, stack []uint64) {
		given += slice - int64(stack[0])
		stack[0] = uint64(slice)
	})
	i64 := []api.ValueType{api.ValueTypeI64}
	if _, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(yield, i64, i64).Export(meter.ImportYield).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := r.Instantiate(ctx, out.WASM)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction("f").Call(ctx, args...); err != nil {
		t.Fatal(err)
	}
	return given - int64(m.ExportedGlobal(meter.ExportFuel).Get())
}

// countdown runs the body n times; it uses local 0.
func countdown(n int32, body ...[]byte) []byte {
	out := append(w.Const(n), 0x21, 0, 0x03, 0x40) // local.set 0, loop
	for _, b := range body {
		out = append(out, b...)
	}
	out = append(out, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0) // local.get 0, 1, sub, local.tee 0
	return append(out, 0x0d, 0, 0x0b)                  // br_if 0, end
}

func nothing(n int) []byte { // n pairs of const and drop: n units
	return []byte(strings.Repeat("\x41\x00\x1a", n))
}

// bulk is memory.fill or memory.copy of n bytes at 0.
func bulk(op byte, n int32) []byte {
	out := append(append(w.Const(0), w.Const(0)...), w.Const(n)...)
	if op == 10 {
		return append(out, 0xfc, op, 0, 0)
	}
	return append(out, 0xfc, op, 0)
}

// TestBill checks charges against sums made by hand: a head costs 1, then each
// instruction 1.
func TestBill(t *testing.T) {
	for _, tt := range []struct {
		name string
		body [][]byte
		want int64
	}{
		{"nothing", nil, 1},
		{"straight", [][]byte{nothing(10)}, 1 + 10},
		{"loop", [][]byte{countdown(1000)}, 1 + 2 + 1000*(1+5)},
		{"loop with work", [][]byte{countdown(10, nothing(500))}, 1 + 2 + 10*(1+505)},
		{"nested loops", [][]byte{nothing(3), countdown(1, nothing(7), []byte{0x03, 0x40, 0x0b})}, 1 + 3 + 2 + (1 + 7 + 5) + 1},
		{"short branch not taken is paid", [][]byte{w.Const(0), w.If(nothing(20))}, 1 + 2 + 20},
		{"long branch not taken is not", [][]byte{w.Const(0), w.If(nothing(100))}, 1 + 2},
		{"long branch taken", [][]byte{w.Const(1), w.If(nothing(100))}, 1 + 2 + 100},
		{"fill", [][]byte{bulk(11, 16*1000)}, 1 + 4 + 1000},
		{"copy", [][]byte{bulk(10, 65536)}, 1 + 4 + 4096},
		{"grow", [][]byte{w.Const(2), w.Grow(), w.Drop()}, 1 + 2 + 2*1024},
		{"division", [][]byte{w.Const(1), w.Const(1), {0x6d}, w.Drop()}, 1 + 2 + 8},
	} {
		for _, slice := range []int64{0, 1, 77, 1 << 40} {
			if got := bill(t, one(tt.body...), slice); got != tt.want {
				t.Errorf("%s, slice %d: %d units, want %d", tt.name, slice, got, tt.want)
			}
		}
	}
}

// stopped runs f with so much fuel and returns the error.
func stopped(t *testing.T, wasm []byte, fuel int64) error {
	t.Helper()
	out, err := meter.Rewrite(wasm, meter.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer func() { _ = r.Close(ctx) }()
	yield := api.GoFunc(func(_ context.Context, stack []uint64) {
		if stack[0] += uint64(fuel); int64(stack[0]) < 0 || fuel == 0 {
			panic(errFuel)
		}
		fuel = 0
	})
	i64 := []api.ValueType{api.ValueTypeI64}
	if _, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(yield, i64, i64).Export(meter.ImportYield).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(ctx, out.WASM, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return err
	}
	_, err = m.ExportedFunction("f").Call(ctx)
	return err
}

// TestEndlessGuestsStop: everything that can go on for ever passes a charge.
func TestEndlessGuestsStop(t *testing.T) {
	start := new(w.Module)
	start.Start(start.Func("f", nil, nil, 0, w.Forever()))
	tree := new(w.Module) // each calls the next twice: 2^60 calls without a loop
	for i := range uint32(60) {
		tree.Func(fmt.Sprintf("g%d", i), nil, nil, 0, w.Call(min(i+1, 60)), w.Call(min(i+1, 60)))
	}
	tree.Func("leaf", nil, nil, 0)
	tree.Func("f", nil, nil, 0, w.Call(0))
	for name, wasm := range map[string][]byte{
		"loop":            one(w.Forever()),
		"nested loop":     one([]byte{0x03, 0x40}, w.Forever(), []byte{0x0b}),
		"start":           start.Bytes(),
		"tree of calls":   tree.Bytes(),
		"fills":           one(countdown(2_000_000_000, bulk(11, 65536))),
		"failing growths": one(countdown(2_000_000_000, w.Const(65536), w.Grow(), w.Drop())),
	} {
		if err := stopped(t, wasm, 10_000_000); !errors.Is(err, errFuel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNamesSurvive: a stack shows the names of the file, and for functions
// without one their index in the file.
func TestNamesSurvive(t *testing.T) {
	m := new(w.Module)
	m.Import(meter.Prefix+"x", "y", nil, nil)
	m.Func("f", nil, nil, 0, w.Call(2))
	m.Func("", nil, nil, 0, w.Call(3))
	m.Func("", nil, nil, 0, w.Unreachable())
	names := append([]byte("\x04name\x01"), 9, 2, 1, 1, 'f', 2, 3, 'm', 'i', 'd')
	wasm := append(m.Bytes(), append([]byte{0, byte(len(names))}, names...)...)
	out, err := meter.Rewrite(wasm, meter.DefaultCaps())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	stack := func(wasm []byte) []string {
		r := wazero.NewRuntime(ctx)
		defer func() { _ = r.Close(ctx) }()
		i64 := []api.ValueType{api.ValueTypeI64}
		for module, types := range map[string][]api.ValueType{meter.ImportModule: i64, meter.Prefix + "x": nil} {
			name := map[bool]string{true: meter.ImportYield, false: "y"}[types != nil]
			if _, err := r.NewHostModuleBuilder(module).NewFunctionBuilder().
				WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
					if len(stack) > 0 {
						stack[0] = 1000
					}
				}), types, types).Export(name).Instantiate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		i, err := r.Instantiate(ctx, wasm)
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.ExportedFunction("f").Call(ctx)
		return strings.Split(err.Error(), "\n")
	}
	plain, metered := stack(wasm), stack(out.WASM)
	if d := cmp.Diff(plain, metered); d != "" || !strings.Contains(strings.Join(plain, " "), ".mid()") || !strings.Contains(strings.Join(plain, " "), ".$3()") {
		t.Errorf("%s\n%v", d, plain)
	}
}

// TestRefusals: shapes, told all at once with function and offset, and whatever
// would reach what metering adds.
func TestRefusals(t *testing.T) {
	deep := []byte(strings.Repeat("\x02\x40", 5000) + strings.Repeat("\x0b", 5000))
	table := append([]byte{0x41, 0, 0x0e}, 0x90, 0x4e) // 10,000 labels
	table = append(table, make([]byte, 10_001)...)
	many := new(w.Module)
	many.Func("a", nil, nil, 0, deep)
	many.Func("b", nil, nil, 0, []byte{0x02, 0x40}, table, []byte{0x0b})
	many.Func("c", nil, nil, 2000)
	_, err := meter.Rewrite(many.Bytes(), meter.DefaultCaps())
	var refusal *meter.Refusal
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	for _, part := range []string{
		"function 0: blocks nested 5000 deep, the limit is 4096",
		"function 1: br_table with 10000 entries, the limit is 8192", "function 2: 2000 locals, the limit is 1024", "at byte 0x",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	reserved := new(w.Module)
	reserved.Func(meter.ExportFuel, nil, nil, 0)
	yields := new(w.Module)
	yields.Import(meter.ImportModule, meter.ImportYield, []byte{w.I64}, []byte{w.I64})
	for want, wasm := range map[string][]byte{
		"global 0 is not defined":        one(w.Const64(1), []byte{0x24, 0}),
		"local 1 is not defined":         one([]byte{0x20, 1, 0x1a}),
		"type 1 is not defined":          one([]byte{0x02, 1, 0x0b}),
		"label 1 is not defined":         one([]byte{0x0c, 1}),
		"are reserved":                   reserved.Bytes(),
		"is reserved":                    yields.Bytes(),
		"instruction 0x12 is not":        one([]byte{0x12, 0}),
		"blocks are not closed":          one([]byte{0x02, 0x40}),
		"else without if":                one([]byte{0x05}),
		"300000 bytes of code, the limi": one(make([]byte, 300_000-4)),
		"not a core":                     []byte("\x00asm\x0d\x00\x01\x00"),
	} {
		if _, err := meter.Rewrite(wasm, meter.DefaultCaps()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
