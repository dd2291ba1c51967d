package plugins

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

var updateC = flag.Bool("update-c", false, "rewrite the golden modules below sdk/c")

// TestConformC: the golden module, which needs no toolchain.
func TestConformC(t *testing.T) { checkConform(t, "sdk/c/conform/conform.wasm") }

func TestCGoldens(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"conform", "bench"} {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, filepath.Join("sdk/c", name, name+".wasm"), *updateC, compiled(t, func(dir string) string {
				copyFS(t, dir, "sdk/c")
				return filepath.Join(dir, name)
			}))
		})
	}
}

// TestConformCWithLibc: the same kernel on wasi-libc.
func TestConformCWithLibc(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copyFS(t, dir, "sdk/c")
	if err := os.WriteFile(filepath.Join(dir, "conform/build.flags"), []byte("wasi-libc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "conform.wasm")
	buildProject(t, filepath.Join(dir, "conform"), out)
	checkConform(t, out)
}

// TestCBench: what the benchmarks rely on, and that fuel tells no two calls
// apart, which its manifest promises.
func TestCBench(t *testing.T) {
	c := conformance{wasm: readFile(t, "sdk/c/bench/bench.wasm")}
	records := []k1.Record{{Value: []byte("bee, longer than sixteen: `az{ \xe4")}, {Value: []byte("ant")}, {}}
	for config, want := range map[string]string{
		`{"op":"filter"}`: "KEEP bee, longer than sixteen: `az{ \xe4,",
		`{"op":"map"}`:    "PUT BEE, LONGER THAN SIXTEEN: `AZ{ \xe4,PUT ANT,PUT ,",
	} {
		p := c.pool(t, config)
		var first int64
		for i := range 200 {
			budget := new(pipeline.Budget)
			ops, err := p.Run(t.Context(), nil, 0, records, budget, budget, budget)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, op := range ops {
				got += op.Code.String() + " " + string(op.Value) + ","
			}
			if got != want {
				t.Fatalf("%s: got %q, want %q", config, got, want)
			}
			if fuel := budget.Spent(pipeline.UnitFuel); i == 0 {
				first = fuel
			} else if fuel != first {
				t.Fatalf("%s: call %d cost %d, the first %d", config, i, fuel, first)
			}
		}
	}
}
