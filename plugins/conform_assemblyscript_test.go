package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
)

const (
	assemblyscriptSDK    = "sdk/assemblyscript"
	assemblyscriptGolden = assemblyscriptSDK + "/conform/conform.wasm"
)

func TestConformAssemblyScript(t *testing.T) {
	if *updateConform {
		wasm := buildAssemblyScriptConform(t)
		sum := fmt.Sprintf("%s  conform.wasm\n", strings.TrimPrefix(string(pipeline.DigestOf(wasm)), "sha256:"))
		for name, data := range map[string][]byte{assemblyscriptGolden: wasm, assemblyscriptGolden + ".sha256": []byte(sum)} {
			if err := os.WriteFile(name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkConform(t, assemblyscriptGolden)
}

// TestConformAssemblyScriptIsItsSource: the committed module has the digest
// beside it, and is what its source compiles to, in any folder.
func TestConformAssemblyScriptIsItsSource(t *testing.T) {
	golden, err := os.ReadFile(assemblyscriptGolden)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(assemblyscriptGolden + ".sha256")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(string(pipeline.DigestOf(golden)), "sha256:") + "  conform.wasm\n"; string(sum) != want {
		t.Errorf("conform.wasm.sha256 is %q, want %q", sum, want)
	}
	if fresh := buildAssemblyScriptConform(t); !bytes.Equal(fresh, golden) {
		t.Errorf("the source gives %s, committed is %s: go test ./plugins -run TestConformAssemblyScript -update-conform",
			pipeline.DigestOf(fresh).Short(), pipeline.DigestOf(golden).Short())
	}
}

// buildAssemblyScriptConform compiles the conformance kernel as a project of a
// user: the SDK is copied into it.
func buildAssemblyScriptConform(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	copyMatches(t, dir, assemblyscriptSDK+"/conform/index.ts", assemblyscriptSDK+"/conform/asconfig.json")
	copyMatches(t, filepath.Join(dir, "waybill"), assemblyscriptSDK+"/*.ts")
	out := filepath.Join(dir, "out.wasm")
	var log bytes.Buffer
	for _, b := range toolchain.All() {
		if b.Lang != "assemblyscript" {
			continue
		}
		var missing *toolchain.Missing
		if err := b.Build(t.Context(), dir, out, &log); errors.As(err, &missing) {
			t.Skip(err)
		} else if err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// copyMatches copies files into a folder.
func copyMatches(t *testing.T, dir string, patterns ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
