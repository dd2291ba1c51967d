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
// command.wasm (WASI), readable.wasm (the example's kernel), conform.wasm (the
// conformance kernel in Go); cache holds their compiled code.
type guests struct{ dir, cache string }

func (g guests) path(name string) string { return filepath.Join(g.dir, name) }

// built is set by TestMain only.
var built guests

func TestMain(m *testing.M) {
	CompileInChild()
	if spec := os.Getenv(envSoak); spec != "" {
		if err := soakChild(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
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
	for _, b := range []struct {
		source, out string
		flags       []string
	}{
		{"testdata/lab", "lab.wasm", []string{"-buildmode=c-shared"}},
		{"testdata/command", "command.wasm", nil},
		{"../examples/capture/kernels/readable", "readable.wasm", []string{"-buildmode=c-shared"}},
		{"sdk/go/conform", "conform.wasm", []string{"-buildmode=c-shared"}},
	} {
		args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", g.path(b.out)}, b.flags...)
		if err := run(b.source, []string{"GOOS=wasip1", "GOARCH=wasm"}, append(args, ".")...); err != nil {
			return err
		}
	}
	return nil
}

// run runs the go command in a folder.
func run(dir string, env []string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=", "GOWORK=off"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v in %s: %w\n%s", args, dir, err, out)
	}
	return nil
}
