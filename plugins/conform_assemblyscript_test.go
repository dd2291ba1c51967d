package plugins

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
)

const (
	assemblyscriptSDK    = "sdk/assemblyscript"
	assemblyscriptGolden = assemblyscriptSDK + "/conform/conform.wasm"
)

// TestConformAssemblyScript: the golden module, which needs no toolchain.
func TestConformAssemblyScript(t *testing.T) { checkConform(t, assemblyscriptGolden) }

func TestConformAssemblyScriptGolden(t *testing.T) {
	checkGolden(t, assemblyscriptGolden, *updateConform, func() []byte {
		return buildAssemblyScript(t, assemblyscriptSDK+"/conform/index.ts")
	})
}

// TestConformAssemblyScriptWithCollector: kernels that keep objects are compiled
// with the runtime "minimal".
func TestConformAssemblyScriptWithCollector(t *testing.T) {
	t.Parallel()
	wasm := buildAssemblyScript(t, assemblyscriptSDK+"/conform/index.ts", `"runtime": "stub"`, `"runtime": "minimal"`)
	path := filepath.Join(t.TempDir(), "minimal.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	checkConform(t, path)
	spec := soakSpec{Path: path, Cache: filepath.Join(built.cache, "kernels"), Items: shortSoak, State: host.Lane, Memory: 4 << 20}
	if r := soak(t, spec); r.Digest == "" {
		t.Error("no result")
	}
}

func TestAssemblyScriptTrapSaysWhere(t *testing.T) {
	c := &conformance{wasm: readFile(t, assemblyscriptGolden)}
	_, err := c.pool(t, "{}").Run(t.Context(), nil, 0, []k1.Record{{Value: []byte("$")}})
	var f *host.Failure
	if !errors.As(err, &f) || !strings.HasPrefix(f.Message, "as ordered (index.ts:") {
		t.Errorf("got %v", err)
	}
}

// buildAssemblyScript compiles one file as a project of a user: the SDK is
// copied into it, and the flags are the conformance kernel's with pairs of old
// and new text replaced.
func buildAssemblyScript(t *testing.T, source string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	copyMatches(t, dir, source, assemblyscriptSDK+"/conform/asconfig.json")
	if err := os.Rename(filepath.Join(dir, filepath.Base(source)), filepath.Join(dir, "index.ts")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "asconfig.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(strings.NewReplacer(flags...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
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
	return readFile(t, out)
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
