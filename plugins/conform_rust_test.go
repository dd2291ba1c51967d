package plugins

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

var updateRust = flag.Bool("update-rust", false, "rewrite the golden modules below "+rustSDK)

const rustSDK = "sdk/rust"

// TestConformRust: the golden module, which needs no toolchain.
func TestConformRust(t *testing.T) { checkConform(t, rustGolden("conform")) }

func rustGolden(name string) string { return filepath.Join(rustSDK, name, name+".wasm") }

// TestRustGoldens: the golden modules have the digests beside them, and come out
// of their sources again where the compiler is the one that made them.
func TestRustGoldens(t *testing.T) {
	for _, name := range []string{"conform", "bench"} {
		t.Run(name, func(t *testing.T) {
			file := rustGolden(name)
			if *updateRust {
				wasm := buildRust(t, name)
				sum := fmt.Sprintf("%x  %s.wasm\n", sha256.Sum256(wasm), name)
				if err := errors.Join(os.WriteFile(file, wasm, 0o644), os.WriteFile(file+".sha256", []byte(sum), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			golden := readFile(t, file)
			sum := string(readFile(t, file+".sha256"))
			if want := fmt.Sprintf("%x  %s.wasm\n", sha256.Sum256(golden), name); sum != want {
				t.Errorf("the digest beside it is %q, not %q", sum, want)
			}
			if len(golden) > 200_000 {
				t.Errorf("%d bytes", len(golden))
			}
			fresh := buildRust(t, name)
			if want, got := producers(t, golden), producers(t, fresh); want != got {
				t.Skipf("another compiler: the golden module is of %q, this is %q", want, got)
			}
			if !bytes.Equal(fresh, golden) {
				t.Errorf("a fresh build has another digest, %x: go test ./plugins -run TestRustGoldens -update-rust", sha256.Sum256(fresh))
			}
		})
	}
}

// buildRust builds a kernel of the SDK as a user's project, which has a copy of
// the SDK inside. The folder's name differs in every run.
func buildRust(t *testing.T, name string) []byte {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.wasm")
	err := errors.Join(
		os.CopyFS(dir, os.DirFS(filepath.Join(rustSDK, name))),
		os.CopyFS(filepath.Join(dir, "waybill", "src"), os.DirFS(filepath.Join(rustSDK, "src"))),
		os.WriteFile(filepath.Join(dir, "waybill", "Cargo.toml"), readFile(t, filepath.Join(rustSDK, "Cargo.toml")), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	_, err = Tools{}.Build(t.Context(), pipeline.KernelBuild{Dir: dir, Out: out, Log: &log})
	var missing *toolchain.Missing
	if errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	return readFile(t, out)
}

// producers is the custom section that names the compiler.
func producers(t *testing.T, wasm []byte) string {
	t.Helper()
	r := wasmbin.NewReader(wasm, 0)
	r.Bytes(8)
	for !r.End() {
		id := r.Byte()
		s := wasmbin.NewReader(r.Bytes(r.U32()), 0)
		if id == 0 && s.Name() == "producers" {
			return string(s.Rest())
		}
	}
	t.Fatal("no producers")
	return ""
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
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
	if f != nil && !strings.Contains(strings.Join(f.Frames, "\n"), "conform") {
		t.Errorf("no function of the kernel in %q", f.Frames)
	}
}
