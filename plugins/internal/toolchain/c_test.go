package toolchain

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDetectC(t *testing.T) {
	for _, tt := range []struct {
		files []string
		want  string
	}{
		{[]string{"kernel.c", "kernel.json"}, "c"},
		{[]string{"kernel.c"}, ""},
		{[]string{"kernel.json"}, ""},
		{[]string{"main.zig", "kernel.json", "helper.c"}, "zig"},
		{[]string{"go.mod", "kernel.json", "helper.c"}, "go"},
	} {
		dir := t.TempDir()
		for _, name := range tt.files {
			write(t, filepath.Join(dir, name), "{}", 0o644)
		}
		got := ""
		if i := slices.IndexFunc(All(), func(b Builder) bool { return b.Detect(dir) }); i >= 0 {
			got = All()[i].Lang
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.files, got, tt.want)
		}
	}
}

func TestCFlags(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "false []",
		"wasi-libc\n":                  "true []",
		"-DDEBUG -DN=1\n -O2 -Wshadow": "false [-DDEBUG -DN=1 -O2 -Wshadow]",
		"wasi-libc -Os":                "true [-Os]",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, cFlagsFile), text, 0o644)
		libc, own, err := cFlags(dir)
		got := "false "
		if libc {
			got = "true "
		}
		if got += "[" + strings.Join(own, " ") + "]"; err != nil || got != want {
			t.Errorf("%q: %s %v, want %s", text, got, err, want)
		}
	}
	if libc, own, err := cFlags(t.TempDir()); libc || own != nil || err != nil {
		t.Errorf("without the file: %v %v %v", libc, own, err)
	}
}

// TestCFlagsRefused: a project's file must not make the compiler load or write
// other files.
func TestCFlagsRefused(t *testing.T) {
	for _, word := range []string{"-fplugin=x.so", "-Wl,-o,x", "-Wa,x", "-Wp,-MD,x", "-o", "@file", "-I/", "-include", "x.c", "-Xclang", "--sysroot=/", "wasi"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, cFlagsFile), "-O2 "+word, 0o644)
		if _, _, err := cFlags(dir); err == nil || !strings.Contains(err.Error(), `"`+word+`" is not allowed`) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestMissingC(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var missing *Missing
	if err := findC(); !errors.As(err, &missing) || missing.What != "clang" || !strings.Contains(missing.Hint, "clang-19") {
		t.Errorf("got %v", err)
	}
	bin := t.TempDir()
	write(t, filepath.Join(bin, "clang"), "#!/bin/sh\necho wasm-ld\n", 0o755) // a clang that knows no linker
	t.Setenv("PATH", bin)
	if err := findC(); !errors.As(err, &missing) || missing.What != "wasm-ld of clang" {
		t.Errorf("got %v", err)
	}
}

// TestBuildC: several files, without and with a C library, and the compiler's
// words about one that is wrong.
func TestBuildC(t *testing.T) {
	if err := findC(); err != nil {
		t.Skip(err)
	}
	build := func(flags, source string) ([]byte, string, error) {
		dir, out := t.TempDir(), filepath.Join(t.TempDir(), "k.wasm")
		write(t, filepath.Join(dir, "b.c"), "int twice(int n) { return 2 * n; }\n", 0o644)
		write(t, filepath.Join(dir, "-a.c"), source, 0o644)
		if flags != "" {
			write(t, filepath.Join(dir, cFlagsFile), flags, 0o644)
		}
		var log bytes.Buffer
		err := buildC(t.Context(), dir, out, &log)
		wasm, _ := os.ReadFile(out)
		return wasm, log.String(), err
	}
	const source = "int twice(int); __attribute__((export_name(\"f\"))) int f(int n) { return twice(n); }\n"
	wasm, log, err := build("", source)
	if err != nil || !bytes.HasPrefix(wasm, []byte("\x00asm\x01")) {
		t.Fatalf("%v\n%s", err, log)
	}
	if again, _, _ := build("", source); !bytes.Equal(again, wasm) {
		t.Error("another folder gives another module")
	}
	if _, log, err := build("", "#include <stdio.h>\n"+source); err == nil || !strings.Contains(log, "stdio.h") {
		t.Errorf("a C library without asking: %v\n%s", err, log)
	}
	if _, log, err := build("", "int f(void) { return nothing; }\n"); err == nil || !strings.Contains(log, "-a.c:1:") {
		t.Errorf("got %v\n%s", err, log)
	}
	if _, err := os.Stat("/usr/include/wasm32-wasi/stdio.h"); err != nil {
		t.Skip("no wasi-libc: /usr/include/wasm32-wasi not found")
	}
	if wasm, log, err := build("wasi-libc", "#include <stdio.h>\n"+source); err != nil || !bytes.Contains(wasm, []byte("_initialize")) {
		t.Errorf("%v\n%s", err, log)
	}
}
