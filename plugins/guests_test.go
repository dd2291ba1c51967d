package plugins

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// guests is a folder with the compiled test guests: lab.wasm (k1),
// command.wasm (WASI), readable.wasm (the
// example's kernel); cache holds their compiled code.
type guests struct{ dir, cache string }

func (g guests) path(name string) string { return filepath.Join(g.dir, name) }

// built is set by TestMain only.
var built guests

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "waybill-guests-*")
	if err == nil {
		built = guests{dir, filepath.Join(dir, "cache")}
		err = built.build()
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else if code = m.Run(); code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func (g guests) build() error {
	const readable = "../examples/capture/kernels/readable"
	for _, b := range []struct {
		source, out string
		flags       []string
	}{
		{"testdata/lab", "lab.wasm", []string{"-buildmode=c-shared"}},
		{"testdata/command", "command.wasm", nil},
		{readable, "readable.wasm", []string{"-buildmode=c-shared"}},
	} {
		args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", g.path(b.out)}, b.flags...)
		cmd := exec.Command("go", append(args, ".")...)
		cmd.Dir = b.source
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.source, err, out)
		}
	}
	return nil
}
