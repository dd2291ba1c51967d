package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// cFlagsFile is a C project's optional file of flags: words on one line.
const cFlagsFile = "build.flags"

// cLibc is the word in cFlagsFile that asks for wasi-libc; without it a kernel
// is freestanding.
const cLibc = "wasi-libc"

// cBuilder compiles all C files of a folder with clang: freestanding, or as a
// WASI reactor on wasi-libc. Line tables stay: they are in custom sections, and
// with them a trap of the unmetered module names file and line.
func cBuilder() Builder {
	return Builder{Lang: "c", Detect: detectC, Find: findC, Build: buildC}
}

func detectC(dir string) bool {
	sources, _ := filepath.Glob(filepath.Join(dir, "*.c")) // the pattern is good
	return len(sources) > 0 && isFile(filepath.Join(dir, "kernel.json"))
}

func findC() error {
	_, err := clang()
	return err
}

// clang finds a clang that has a linker for WebAssembly: 19 before others, which
// the golden modules are made with.
func clang() (string, error) {
	missing := &Missing{Lang: "c", What: "clang", Hint: "install clang and lld 15 or newer; in Debian: apt-get install clang-19 lld-19"}
	for _, name := range []string{"clang-19", "clang", "clang-22", "clang-21", "clang-20", "clang-18", "clang-17", "clang-16", "clang-15"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		missing.What = "wasm-ld of " + name
		if _, err := exec.LookPath(ask(path, "-print-prog-name=wasm-ld")); err == nil {
			return path, nil
		}
	}
	return "", missing
}

// ask runs a compiler for one line of text; empty if it fails.
func ask(path string, args ...string) string {
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func buildC(ctx context.Context, dir, out string, log io.Writer) error {
	cc, err := clang()
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	libc, own, err := cFlags(dir)
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return err
	}
	for i, s := range sources {
		sources[i] = "." + string(filepath.Separator) + filepath.Base(s) // no path of the machine, and no name that looks like a flag
	}
	args := slices.Concat(cTarget(libc), []string{
		"-std=c11", "-O3", "-msimd128", "-mbulk-memory", "-Wall", "-Wextra", "-Werror=undefined-internal",
		"-gline-tables-only", "-fdebug-compilation-dir=.", "-ffile-prefix-map=" + ask(cc, "-print-resource-dir") + "=clang",
		"-Wl,--stack-first", "-Wl,-z,stack-size=65536", "-o", out,
	}, own, sources)
	cmd := exec.CommandContext(ctx, cc, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(cc), err)
	}
	return nil
}

func cTarget(libc bool) []string {
	if !libc {
		return []string{"--target=wasm32", "-ffreestanding", "-nostdlib", "-Wl,--no-entry"}
	}
	args := []string{"--target=wasm32-wasi", "-mexec-model=reactor"}
	if sysroot := os.Getenv("WASI_SYSROOT"); sysroot != "" {
		args = append(args, "--sysroot="+sysroot)
	}
	return args
}

// cFlags reads the project's flags: whether it wants wasi-libc, and words for
// the compiler, of those that only choose how code is made.
func cFlags(dir string) (libc bool, own []string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, cFlagsFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	for _, word := range strings.Fields(string(text)) {
		switch {
		case word == cLibc:
			libc = true
		case cAllowed(word):
			own = append(own, word)
		default:
			return false, nil, fmt.Errorf("%s: %q is not allowed (%s, -DNAME, -DNAME=VALUE, -O..., -W... but no -Wa, -Wl, -Wp,)", cFlagsFile, word, cLibc)
		}
	}
	return libc, own, nil
}

func cAllowed(word string) bool {
	for _, bad := range []string{"-Wa,", "-Wl,", "-Wp,"} {
		if strings.HasPrefix(word, bad) {
			return false
		}
	}
	return strings.HasPrefix(word, "-D") || strings.HasPrefix(word, "-O") || strings.HasPrefix(word, "-W")
}
