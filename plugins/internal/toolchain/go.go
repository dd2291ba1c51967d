package toolchain

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// goBuilder compiles with the standard Go toolchain as a WASI reactor. Symbols
// stay: they cost 2 % and name the functions of a trap's stack.
func goBuilder() Builder {
	return Builder{
		Lang:   "go",
		Detect: func(dir string) bool { return isFile(filepath.Join(dir, "go.mod")) },
		Find:   findGo,
		Build:  buildGo,
	}
}

func findGo() error {
	if _, err := exec.LookPath("go"); err != nil {
		return &Missing{Lang: "go", What: "go", Hint: "install Go 1.24 or newer from your distribution or go.dev"}
	}
	return nil
}

// buildGo sets whatever the user's environment could change about the module.
func buildGo(ctx context.Context, dir, out string, log io.Writer) error {
	if err := findGo(); err != nil {
		return err
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWASM=", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// isFile reports whether a regular file of that name exists.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
