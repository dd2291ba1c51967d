package plugins

import (
	"flag"
	"path/filepath"
	"testing"
)

var updateZig = flag.Bool("update-zig", false, "rewrite the golden module below sdk/zig")

// TestConformZig: the golden module, which needs no toolchain.
func TestConformZig(t *testing.T) { checkConform(t, "sdk/zig/conform/conform.wasm") }

func TestZigGolden(t *testing.T) {
	t.Parallel()
	checkGolden(t, "sdk/zig/conform/conform.wasm", *updateZig, compiled(t, func(dir string) string {
		copyFS(t, filepath.Join(dir, "project"), "sdk/zig/conform")
		copyFS(t, filepath.Join(dir, "project/waybill"), "sdk/zig")
		return filepath.Join(dir, "project")
	}))
}
