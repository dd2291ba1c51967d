package plugins

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
)

var updateC = flag.Bool("update-c", false, "rewrite the golden modules below sdk/c")

// TestConformC: the golden module, which needs no toolchain.
func TestConformC(t *testing.T) { checkConform(t, "sdk/c/conform/conform.wasm") }

func TestCGoldens(t *testing.T) {
	for _, name := range []string{"conform", "bench"} {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, filepath.Join("sdk/c", name, name+".wasm"), *updateC, func(dir string) (project string) {
				copyFS(t, dir, "sdk/c")
				return filepath.Join(dir, name)
			})
		})
	}
}

// TestConformCWithLibc: the same kernel on wasi-libc.
func TestConformCWithLibc(t *testing.T) {
	dir := t.TempDir()
	copyFS(t, dir, "sdk/c")
	if err := os.WriteFile(filepath.Join(dir, "conform/build.flags"), []byte("wasi-libc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "conform.wasm")
	buildProject(t, filepath.Join(dir, "conform"), out)
	checkConform(t, out)
}

// checkGolden: a golden module has the digest beside it, and comes out of its
// source again, in any folder, where the compiler is the one that made it.
func checkGolden(t *testing.T, file string, update bool, copied func(dir string) (project string)) {
	t.Helper()
	fresh := func() []byte {
		dir := t.TempDir()
		out := filepath.Join(dir, "out.wasm")
		buildProject(t, copied(dir), out)
		return readFile(t, out)
	}
	name := filepath.Base(file)
	if update {
		wasm := fresh()
		sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(wasm), name)
		if err := errors.Join(os.WriteFile(file, wasm, 0o644), os.WriteFile(file+".sha256", []byte(sum), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	golden := readFile(t, file)
	if sum, want := string(readFile(t, file+".sha256")), fmt.Sprintf("%x  %s\n", sha256.Sum256(golden), name); sum != want {
		t.Errorf("the digest beside it is %q, not %q", sum, want)
	}
	if len(golden) > 200_000 {
		t.Errorf("%d bytes", len(golden))
	}
	wasm := fresh()
	if want, got := producers(t, golden), producers(t, wasm); want != got {
		t.Skipf("another compiler: the golden module is of %q, this is %q", want, got)
	}
	if !bytes.Equal(wasm, golden) {
		t.Errorf("a fresh build has another digest, %x: if it should, run this test with its -update flag", sha256.Sum256(wasm))
	}
}

// buildProject builds as `waybill kernel build` does; without the toolchain the
// test is skipped.
func buildProject(t *testing.T, dir, out string) {
	t.Helper()
	var log bytes.Buffer
	_, err := Tools{}.Build(t.Context(), pipeline.KernelBuild{Dir: dir, Out: out, Log: &log})
	var missing *toolchain.Missing
	if errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
}

func copyFS(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
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
