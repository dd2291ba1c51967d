package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	rustTarget = "wasm32-unknown-unknown"
	// A kernel's stack is part of the memory image that a reset restores.
	rustStack = 64 << 10
)

func rustBuilder() Builder {
	return Builder{
		Lang:   "rust",
		Detect: func(dir string) bool { return isFile(filepath.Join(dir, "Cargo.toml")) },
		Find:   func() error { _, err := findRust(rustBins()); return err },
		Build: func(ctx context.Context, dir, out string, log io.Writer) error {
			r, err := findRust(rustBins())
			if err != nil {
				return err
			}
			return r.build(ctx, dir, out, log)
		},
	}
}

// rust is a cargo and the rustc beside it, which has the standard library of the
// target.
type rust struct {
	bin    string // their folder
	linker string // "" is rustc's own
}

var llvmMajor = regexp.MustCompile(`(?m)^LLVM version: (\d+)`)

// rustBins are the folders with a cargo, in order: a newer one without the target
// may stand before Debian's, which has it.
func rustBins() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin")
}

// findRust returns the first cargo in these folders that can build kernels.
func findRust(bins []string) (rust, error) {
	missing := &Missing{Lang: "rust", What: "cargo and rustc with the target " + rustTarget,
		Hint: "rustup target add " + rustTarget + ", or in Debian: apt-get install cargo rustc libstd-rust-dev-wasm32 and the lld of rustc's LLVM"}
	for _, bin := range bins {
		rustc := filepath.Join(bin, "rustc")
		if !isFile(filepath.Join(bin, "cargo")) || !isFile(rustc) {
			continue
		}
		out, err := exec.Command(rustc, "--print", "sysroot").Output()
		if err != nil {
			continue
		}
		lib := filepath.Join(strings.TrimSpace(string(out)), "lib", "rustlib")
		if !matches(filepath.Join(lib, rustTarget, "lib", "libcore-*.rlib")) {
			continue
		}
		if matches(filepath.Join(lib, "*", "bin", "rust-lld")) {
			return rust{bin: bin}, nil
		}
		// Debian's rustc leaves linking to the lld of its own LLVM: others refuse its libraries.
		version, err := exec.Command(rustc, "-vV").Output()
		major := llvmMajor.FindSubmatch(version)
		if err != nil || major == nil {
			continue
		}
		linker := "wasm-ld-" + string(major[1])
		if _, err := exec.LookPath(linker); err == nil {
			return rust{bin, linker}, nil
		}
		missing.What = linker
	}
	return rust{}, missing
}

// build compiles the project with its release profile. The module does not
// depend on the folder, as long as path dependencies stand inside of it.
func (r rust) build(ctx context.Context, dir, out string, log io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "cargo"), "build", "--lib", "--release", "--offline",
		"--target", rustTarget, "--message-format=json-render-diagnostics")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RUSTC="+filepath.Join(r.bin, "rustc"), "RUSTC_WRAPPER=",
		"CARGO_ENCODED_RUSTFLAGS="+strings.Join(r.flags(dir), "\x1f"))
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cargo build: %w", err)
	}
	module, err := builtModule(&messages)
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	return os.WriteFile(out, wasm, 0o644)
}

func (r rust) flags(dir string) []string {
	flags := []string{
		"-Ctarget-feature=+simd128,+bulk-memory",
		fmt.Sprintf("-Clink-arg=-zstack-size=%d", rustStack),
		"-Clink-arg=--demangle", // for the stacks of traps
		"--remap-path-prefix=" + dir + "=.",
	}
	home := os.Getenv("CARGO_HOME")
	if user, err := os.UserHomeDir(); home == "" && err == nil {
		home = filepath.Join(user, ".cargo")
	}
	if home != "" {
		flags = append(flags, "--remap-path-prefix="+home+"=cargo")
	}
	if r.linker != "" {
		flags = append(flags, "-Clinker="+r.linker)
	}
	return flags
}

// builtModule finds the module among cargo's messages: the last is the project's.
func builtModule(messages io.Reader) (string, error) {
	module := ""
	for d := json.NewDecoder(messages); ; {
		var m struct{ Filenames []string }
		if err := d.Decode(&m); err == io.EOF {
			break
		} else if err != nil {
			return "", fmt.Errorf("cargo's messages: %w", err)
		}
		for _, name := range m.Filenames {
			if filepath.Ext(name) == ".wasm" {
				module = name
			}
		}
	}
	if module == "" {
		return "", fmt.Errorf(`cargo made no module (Cargo.toml needs: [lib] crate-type = ["cdylib"])`)
	}
	return module, nil
}

func matches(pattern string) bool {
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}
