package meter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
)

var errFuel = errors.New("out of fuel")

// fuzzWorld is an interpreter whose yield gives fuel a few times.
func fuzzWorld(t *testing.T, ctx context.Context) wazero.Runtime {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
	left := int64(300_000)
	yield := api.GoFunc(func(_ context.Context, stack []uint64) {
		give := 1000 - int64(stack[0])
		if left -= give; left < 0 {
			panic(errFuel)
		}
		stack[0] = 1000
	})
	i64 := []api.ValueType{api.ValueTypeI64}
	_, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(yield, i64, i64).Export(meter.ImportYield).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// largeNumber tells that there may be a number above two million.
func largeNumber(wasm []byte) bool {
	run := 0
	for _, c := range wasm {
		if run++; c < 0x80 {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// FuzzRewrite: where the plain module compiles, so does the metered one, and
// the other way round; and all exported functions do the same, for zeros.
func FuzzRewrite(f *testing.F) {
	root := spectests(f)
	for _, pattern := range []string{"v1/testdata/*.0.wasm", "v2/testdata/*.[0-2].wasm"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) < 50 {
			f.Fatalf("%d files, %v", len(files), err)
		}
		for _, file := range files {
			if wasm, err := os.ReadFile(file); err != nil {
				f.Fatal(err)
			} else if len(wasm) < 4096 {
				f.Add(wasm)
			}
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		ctx := t.Context()
		r := fuzzWorld(t, ctx)
		defer func() { _ = r.Close(ctx) }()
		caps := wide()
		caps.TableEntries = math.MaxInt32
		out, err := meter.Rewrite(wasm, caps)
		if err != nil && largeNumber(wasm) {
			return // perhaps a count without content: wazero would make room for it first
		}
		if err != nil {
			if _, plainErr := compile(ctx, r, wasm); plainErr == nil && !stricter(err) {
				t.Fatalf("compiles, but is not metered: %v", err)
			}
			return
		}
		// The module as it is may have a name section for which wazero would
		// make gigabytes of room.
		bound, err := meter.Bound(wasm, caps)
		if err != nil {
			t.Fatalf("is metered, but not bound: %v", err)
		}
		plain, plainErr := compile(ctx, r, bound)
		metered, err := compile(ctx, r, out.WASM)
		switch {
		case plainErr != nil && err == nil && !strings.Contains(plainErr.Error(), "custom"):
			t.Fatalf("compiles metered only: %v", plainErr)
		case plainErr == nil && err != nil:
			t.Fatalf("compiles plain only: %v", err)
		case plainErr == nil:
			caps.TableEntries = 1000 // table.grow could eat the fuzzer's memory
			if _, err := meter.Rewrite(wasm, caps); err == nil && !out.WritesTables {
				compare(t, r, plain, metered)
			}
		}
	})
}

// stricter reports refusals that wazero does not make: encodings that it reads
// otherwise than the specification, and types that the specification does not
// have (it takes a global of type 0x38).
func stricter(err error) bool {
	return strings.Contains(err.Error(), "shortest form") || strings.Contains(err.Error(), "value type")
}

// compile turns a panic of the compiler into an error: wazero 1.12 has at least
// one, for a call of a function whose type is not defined.
func compile(ctx context.Context, r wazero.Runtime, wasm []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return r.CompileModule(ctx, wasm)
}

// compare runs the metered module first: what it does within its fuel, the
// plain one does in the end too.
func compare(t *testing.T, r wazero.Runtime, plain, metered wazero.CompiledModule) {
	ctx, config := t.Context(), wazero.NewModuleConfig().WithName("").WithStartFunctions()
	m, meteredErr := r.InstantiateModule(ctx, metered, config)
	if errors.Is(meteredErr, errFuel) {
		return
	}
	p, plainErr := r.InstantiateModule(ctx, plain, config)
	if (plainErr == nil) != (meteredErr == nil) {
		t.Fatalf("instantiated: plain %v, metered %v", plainErr, meteredErr)
	}
	if plainErr != nil {
		return
	}
	for name, def := range plain.ExportedFunctions() {
		args := make([]uint64, 2*len(def.ParamTypes()))[:paramSlots(def)]
		got, gotErr := m.ExportedFunction(name).Call(ctx, args...)
		if errors.Is(gotErr, errFuel) {
			return
		}
		want, wantErr := p.ExportedFunction(name).Call(ctx, args...)
		if fmt.Sprint(mask(got, def.ResultTypes())) != fmt.Sprint(mask(want, def.ResultTypes())) || trap(gotErr) != trap(wantErr) {
			t.Fatalf("%s: plain %v, %v; metered %v, %v", name, want, wantErr, got, gotErr)
		}
	}
	for name := range plain.ExportedMemories() {
		if a, b := p.ExportedMemory(name).Size(), m.ExportedMemory(name).Size(); a != b {
			t.Fatalf("memory: plain %d, metered %d bytes", a, b)
		}
	}
}

func paramSlots(def api.FunctionDefinition) int {
	n := 0
	for _, p := range def.ParamTypes() {
		n++
		if p == 0x7b { // v128
			n++
		}
	}
	return n
}

func trap(err error) string {
	if err == nil {
		return ""
	}
	return firstLine(err)
}
