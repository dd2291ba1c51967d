package toolchain

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// fakeRust makes a folder with a cargo and a rustc of that LLVM, whose
// installation has these files.
func fakeRust(t *testing.T, llvm string, installed ...string) string {
	t.Helper()
	bin, sysroot := t.TempDir(), t.TempDir()
	write(t, filepath.Join(bin, "cargo"), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(bin, "rustc"), fmt.Sprintf("#!/bin/sh\ncase $1 in --print) echo '%s';; *) printf 'rustc 1.0.0\\nLLVM version: %s\\n';; esac\n", sysroot, llvm), 0o755)
	for _, name := range installed {
		write(t, filepath.Join(sysroot, "lib/rustlib", name), "", 0o644)
	}
	return bin
}

const (
	rustCore = rustTarget + "/lib/libcore-0123.rlib"
	rustLLD  = "x86_64-unknown-linux-gnu/bin/rust-lld"
)

func TestFindRust(t *testing.T) {
	linkers := t.TempDir()
	write(t, filepath.Join(linkers, "wasm-ld-77"), "#!/bin/sh\n", 0o755)
	t.Setenv("PATH", linkers+string(filepath.ListSeparator)+os.Getenv("PATH"))
	bare := fakeRust(t, "77.0")
	rustup := fakeRust(t, "76.0", rustCore, rustLLD)
	debian := fakeRust(t, "77.1.2", rustCore)
	unlinked := fakeRust(t, "78.0", rustCore)
	for name, test := range map[string]struct {
		bins    []string
		want    rust
		missing string
	}{
		"none":                           {nil, rust{}, "cargo and rustc"},
		"one without the target":         {[]string{bare}, rust{}, "cargo and rustc"},
		"it brings its own linker":       {[]string{rustup, debian}, rust{bin: rustup}, ""},
		"behind one without the target":  {[]string{bare, t.TempDir(), debian}, rust{debian, "wasm-ld-77"}, ""},
		"no linker of its LLVM":          {[]string{unlinked}, rust{}, "wasm-ld-78"},
		"behind one without its linker":  {[]string{unlinked, rustup}, rust{bin: rustup}, ""},
		"a rustc that says nothing good": {[]string{fakeRust(t, "x", rustCore)}, rust{}, "cargo and rustc"},
	} {
		got, err := findRust(test.bins)
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
		var missing *Missing
		switch {
		case test.missing == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.missing != "" && (!errors.As(err, &missing) || !strings.HasPrefix(missing.What, test.missing) || missing.Hint == ""):
			t.Errorf("%s: got %v, want that %s is missing", name, err, test.missing)
		}
	}
}

func TestRustFlagsHideFolders(t *testing.T) {
	t.Setenv("CARGO_HOME", "/cargo-home")
	got := rust{linker: "wasm-ld-77"}.flags("/project")
	for _, want := range []string{"--remap-path-prefix=/project=.", "--remap-path-prefix=/cargo-home=cargo", "-Clinker=wasm-ld-77"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	if got := (rust{}).flags("/project"); slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, "linker") }) {
		t.Errorf("a linker in %q", got)
	}
}

func TestBuiltModule(t *testing.T) {
	messages := `{"reason":"compiler-artifact","filenames":["/t/libdep.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/dep.wasm"]}
{"reason":"compiler-artifact","filenames":["/t/own.d","/t/own.wasm"]}
{"reason":"build-finished","success":true}
`
	if got, err := builtModule(strings.NewReader(messages)); got != "/t/own.wasm" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := builtModule(strings.NewReader(`{"filenames":["/t/lib.rlib"]}`)); err == nil || !strings.Contains(err.Error(), "cdylib") {
		t.Errorf("a project without a module: %v", err)
	}
	if _, err := builtModule(strings.NewReader("warning: x")); err == nil {
		t.Error("read what is no message")
	}
}

func TestRustProjects(t *testing.T) {
	dir := t.TempDir()
	if rustBuilder().Detect(dir) {
		t.Error("an empty folder is a project")
	}
	write(t, filepath.Join(dir, "Cargo.toml"), "[package]\nname = \"a\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n", 0o644)
	write(t, filepath.Join(dir, "src/lib.rs"), "#[no_mangle]\npub extern \"C\" fn answer() -> i32 { 42 }\n", 0o644)
	if !rustBuilder().Detect(dir) {
		t.Error("a folder with a Cargo.toml is none")
	}
	if err := rustBuilder().Find(); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "a.wasm")
	var log bytes.Buffer
	if err := rustBuilder().Build(t.Context(), dir, out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	wasm, err := os.ReadFile(out)
	if err != nil || !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		t.Errorf("no module: %.20q, %v", wasm, err)
	}
	if bytes.Contains(wasm, []byte(dir)) {
		t.Error("the module names the folder")
	}
	write(t, filepath.Join(dir, "src/lib.rs"), "fn broken() -> i32 { \"\" }\n", 0o644)
	log.Reset()
	if err := rustBuilder().Build(t.Context(), dir, out, &log); err == nil || !strings.Contains(log.String(), "src/lib.rs:1") {
		t.Errorf("broken source: %v\n%s", err, log.String())
	}
}
