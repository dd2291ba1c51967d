package plugins

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// checkGolden: a golden module has the digest beside it, and comes out of its
// source again, in any folder, where the compiler is the one that made it.
func checkGolden(t *testing.T, file string, update bool, fresh func() []byte) {
	t.Helper()
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
	if want, got := producers(golden), producers(wasm); want != got {
		t.Skipf("another compiler: the golden module is of %q, this is %q", want, got)
	}
	if !bytes.Equal(wasm, golden) {
		t.Errorf("a fresh build has another digest, %x: if it should, run this test with its -update flag", sha256.Sum256(wasm))
	}
}

// compiled builds a copy of a project as a user does, in a folder of its own.
func compiled(t *testing.T, copied func(dir string) (project string)) func() []byte {
	return func() []byte {
		t.Helper()
		dir := t.TempDir()
		out := filepath.Join(dir, "out.wasm")
		buildProject(t, copied(dir), out)
		return readFile(t, out)
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

// producers is the custom section that names the compiler; empty if there is none.
func producers(wasm []byte) string {
	r := wasmbin.NewReader(wasm, 0)
	r.Bytes(8)
	for !r.End() {
		id := r.Byte()
		s := wasmbin.NewReader(r.Bytes(r.U32()), 0)
		if id == 0 && s.Name() == "producers" {
			return string(s.Rest())
		}
	}
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
