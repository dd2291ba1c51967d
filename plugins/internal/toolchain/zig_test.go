package toolchain

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

// fakeZig puts a program that says a version where npm would put zig.
func fakeZig(t *testing.T, dir, version string) string {
	t.Helper()
	program := filepath.Join(dir, zigProgram)
	write(t, program, "#!/bin/sh\necho "+version+"\n", 0o755)
	return program
}

func TestFindZig(t *testing.T) {
	tools := t.TempDir()
	t.Setenv("WAYBILL_TOOLS", tools)
	t.Setenv("PATH", t.TempDir())
	project := t.TempDir()
	var missing *Missing
	if _, err := Zig(project); !errors.As(err, &missing) || !strings.Contains(missing.Hint, zigPackage) {
		t.Errorf("nothing there: %v", err)
	}
	fakeZig(t, project, "0.13.0")
	if _, err := Zig(project); !errors.As(err, &missing) || !strings.Contains(missing.What, "there is 0.13.0") {
		t.Errorf("another version: %v", err)
	}
	installed := fakeZig(t, filepath.Join(tools, "zig"), zigVersion+"cc394431a")
	if got, err := Zig(project); got != installed || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, installed)
	}
	own := fakeZig(t, project, zigVersion+"cc394431a")
	if got, err := Zig(project); got != own || err != nil {
		t.Errorf("got %q, %v, want the project's own", got, err)
	}
}

func TestWithoutDebug(t *testing.T) {
	custom := func(name string) []byte {
		return wasmbin.AppendBytes([]byte{0}, append(wasmbin.AppendName(nil, name), 1, 2, 3))
	}
	head, types := []byte("\x00asm\x01\x00\x00\x00"), []byte{1, 1, 0}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	got, err := withoutDebug(join(head, types, custom(".debug_info"), custom("name"), custom(".debug_line")))
	if want := join(head, types, custom("name")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := withoutDebug(join(head, types, []byte{0, 200})); err == nil {
		t.Error("a cut section was taken")
	}
}

func TestBuildZig(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, zigMain), "export fn f() u32 { return nothing; }\n", 0o644)
	if err := zigBuilder().Find(); err != nil {
		t.Skip(err)
	}
	var log bytes.Buffer
	err := buildZig(t.Context(), dir, filepath.Join(t.TempDir(), "k.wasm"), &log)
	if err == nil || !strings.Contains(log.String(), "main.zig:1:28: error") {
		t.Errorf("got %v\n%s", err, &log)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
