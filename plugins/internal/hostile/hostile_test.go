package hostile

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestGuestsAreValid: what is not refused unseen is valid WebAssembly, so that
// it ends by its attack and not by a mistake of its author.
func TestGuestsAreValid(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { _ = r.Close(ctx) }()
	for _, g := range All() {
		if g.At == AtCheck {
			continue
		}
		if _, err := r.CompileModule(ctx, g.WASM()); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
}

// TestTable: the issue asks for thirty guests at least, and a line of the page
// must say everything.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range All() {
		if g.Name == "" || seen[g.Name] || g.Tries == "" || g.Bound == "" || g.At == "" || (g.Says == "") != (g.Code == "") {
			t.Errorf("incomplete, or twice: %+v", g)
		}
		seen[g.Name] = true
		if !bytes.Equal(g.WASM(), g.WASM()) {
			t.Errorf("%s: two modules differ", g.Name)
		}
	}
	if len(seen) < 30 {
		t.Errorf("%d guests", len(seen))
	}
	if len(Peace()) < peaceful {
		t.Error("a peaceful item that looks like an attack")
	}
}

// TestGenerated fails when the page is not what the table says.
func TestGenerated(t *testing.T) {
	got, err := os.ReadFile("../../../docs/hostile.md")
	if err != nil || !bytes.Equal(got, Page()) {
		t.Errorf("docs/hostile.md is stale: run make generate (%v)", err)
	}
	if lines := strings.Count(string(Page()), "\n| "); lines != len(All())+1 {
		t.Errorf("%d lines for %d guests", lines, len(All()))
	}
}
