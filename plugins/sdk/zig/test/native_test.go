// Package zigtest runs the tests of the Zig SDK natively.
package zigtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
)

func TestNative(t *testing.T) {
	zig, err := toolchain.Zig("..")
	if err != nil {
		t.Skip(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no place for zig's cache: ", err)
	}
	// A cache that stays: the compiler takes ten seconds for its library.
	out, err := exec.Command(zig, "test", "../kernel.zig", "--cache-dir", filepath.Join(cache, "waybill", "zig")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
