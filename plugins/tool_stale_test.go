package plugins

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// TestStaleModuleIsNoted: by every command that looks at it.
func TestStaleModuleIsNoted(t *testing.T) {
	dir := project(t, w.Guest{Answer: w.KeepFirst()}, `{"name":"k","version":"1.0.0"}`, `{"name":"one","value":"x","want":[{"op":"keep"}]}`)
	module := filepath.Join(dir, "k.wasm")
	noted := func(t *testing.T) (notes string) {
		t.Helper()
		var log bytes.Buffer
		checked, err := Tools{}.Check(t.Context(), pipeline.KernelTarget{Path: dir})
		tested, err2 := Tools{}.Test(t.Context(), pipeline.KernelTest{KernelTarget: pipeline.KernelTarget{Path: dir}})
		_, err3 := Run(t.Context(), pipeline.KernelRun{Use: "file:" + module, Stderr: &log})
		if err != nil || err2 != nil || err3 != nil {
			t.Fatal(err, err2, err3)
		}
		for _, from := range []string{strings.Join(checked.Notes, "\n"), strings.Join(tested.Notes, "\n"), log.String()} {
			if strings.Contains(from, "is older than") {
				notes += from + "\n"
			} else {
				notes += "nothing\n"
			}
		}
		return notes
	}
	now := time.Now()
	for _, tt := range []struct {
		file, newer string // newer: what the notes name; empty: nothing
	}{
		{"k.wasm", ""},
		{"notes.md", ""},
		{"lib_test.go", ""},
		{"cases/a.json", ""},
		{"target/debug/gen.rs", ""},
		{"kernel.json", "kernel.json"},
		{"src/lib.rs", "lib.rs"},
	} {
		path := filepath.Join(dir, filepath.FromSlash(tt.file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		now = now.Add(time.Second)
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
		notes := noted(t)
		if got := strings.Count(notes, "is older than "); tt.newer == "" && got != 0 || tt.newer != "" && strings.Count(notes, tt.newer) != 3 {
			t.Errorf("%s changed: %s", tt.file, notes)
		}
	}
}
