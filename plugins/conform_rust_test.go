package plugins

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

var updateRust = flag.Bool("update-rust", false, "rewrite the golden modules below "+rustSDK)

const rustSDK = "sdk/rust"

// TestConformRust: the golden module, which needs no toolchain.
func TestConformRust(t *testing.T) { checkConform(t, rustGolden("conform")) }

func rustGolden(name string) string { return filepath.Join(rustSDK, name, name+".wasm") }

// TestRustGoldens builds as a user does, with a copy of the SDK inside the project.
func TestRustGoldens(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"conform", "bench"} {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, rustGolden(name), *updateRust, compiled(t, func(dir string) string {
				project := filepath.Join(dir, name)
				copyFS(t, project, filepath.Join(rustSDK, name))
				copyFS(t, filepath.Join(project, "waybill", "src"), filepath.Join(rustSDK, "src"))
				manifest := readFile(t, filepath.Join(rustSDK, "Cargo.toml"))
				if err := os.WriteFile(filepath.Join(project, "waybill", "Cargo.toml"), manifest, 0o644); err != nil {
					t.Fatal(err)
				}
				return project
			}))
		})
	}
}

// TestRustBench: what the benchmarks rely on, and that fuel tells no two calls
// apart: nothing is allocated for a record.
func TestRustBench(t *testing.T) {
	c := conformance{wasm: readFile(t, rustGolden("bench"))}
	records := []k1.Record{{Value: []byte("bee 9z")}, {Value: []byte("ant")}, {}}
	for config, want := range map[string]string{`{"op":"filter"}`: "KEEP bee 9z", `{"op":"map"}`: "PUT BEE 9Z,PUT ANT,PUT "} {
		p := c.pool(t, config)
		var first int64
		for i := range 2000 {
			budgets := []*pipeline.Budget{new(pipeline.Budget), new(pipeline.Budget), new(pipeline.Budget)}
			ops, err := p.Run(t.Context(), nil, 0, records, budgets...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, op := range ops {
				got = append(got, strings.ToUpper(op.Code.String())+" "+string(op.Value))
			}
			if g := strings.Join(got, ","); g != want {
				t.Fatalf("%s: got %q, want %q", config, g, want)
			}
			spent := budgets[0].Spent(pipeline.UnitFuel)
			if i == 0 {
				first = spent
			}
			if spent != first || spent == 0 {
				t.Fatalf("%s: call %d costs %d units, the first %d", config, i, spent, first)
			}
		}
	}
}

// TestRustPanic: this target has no stderr; the panic's text arrives anyway.
func TestRustPanic(t *testing.T) {
	c := conformance{wasm: readFile(t, rustGolden("conform"))}
	_, err := c.pool(t, "{}").Run(t.Context(), nil, 0, []k1.Record{{Value: []byte("$")}})
	var f *host.Failure
	if !errors.As(err, &f) || !strings.Contains(f.Message, "panicked at 'as the record asks for', src/lib.rs:") {
		t.Errorf("got %+v, want the panic's text and place", err)
	}
	if f != nil && (!slices.Contains(f.Frames, "k1_run") || !strings.Contains(strings.Join(f.Frames, " "), "core::panicking::panic_fmt")) {
		t.Errorf("no readable names in %q", f.Frames)
	}
}
