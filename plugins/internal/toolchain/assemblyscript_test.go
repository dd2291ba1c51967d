package toolchain

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeNode puts a node first in PATH that prints its working folder and its arguments.
func fakeNode(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	write(t, filepath.Join(bin, "node"), "#!/bin/sh\necho \"$PWD: $*\"\ncase $* in *broken*) exit 2;; esac\n", 0o755)
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

func TestDetectAssemblyScript(t *testing.T) {
	for name, want := range map[string]bool{`asconfig.json {}`: true, `package.json {"devDependencies":{"assemblyscript":"0.28.20"}}`: true,
		`package.json {"devDependencies":{"typescript":"5"}}`: false, `index.ts export {}`: false} {
		dir := t.TempDir()
		file, text, _ := strings.Cut(name, " ")
		write(t, filepath.Join(dir, file), text, 0o644)
		if got := assemblyscriptBuilder().Detect(dir); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFindAssemblyScript(t *testing.T) {
	project, tools := t.TempDir(), t.TempDir()
	t.Setenv("WAYBILL_TOOLS", tools)
	t.Setenv("PATH", t.TempDir())
	missing := func(what string) {
		t.Helper()
		_, err := asc(project)
		var m *Missing
		if !errors.As(err, &m) || !strings.Contains(m.What, what) || !strings.Contains(m.Hint, ascPackage) {
			t.Errorf("got %v, want %s missing", err, what)
		}
	}
	found := func(script string) {
		t.Helper()
		if got, err := asc(project); err != nil || got[1] != script {
			t.Errorf("got %v, %v; want %s", got, err, script)
		}
	}
	missing("node")
	fakeNode(t)
	missing("npm package")
	script := filepath.Join(tools, "assemblyscript", ascScript)
	write(t, script, "", 0o644)
	found(script)
	own := filepath.Join(project, ascScript)
	write(t, own, "", 0o644)
	found(own)
}

func TestBuildAssemblyScriptInItsFolder(t *testing.T) {
	fakeNode(t)
	project := t.TempDir()
	script := filepath.Join(project, ascScript)
	write(t, script, "", 0o644)
	var log bytes.Buffer
	if err := buildAssemblyScript(t.Context(), project, "out.wasm", &log); err != nil {
		t.Fatal(err)
	}
	out, err := filepath.Abs("out.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if want := project + ": " + script + " --config asconfig.json --outFile " + out + "\n"; log.String() != want {
		t.Errorf("got %q, want %q", log.String(), want)
	}
	log.Reset()
	if err := buildAssemblyScript(t.Context(), project, "broken.wasm", &log); err == nil || !strings.Contains(err.Error(), "asc: exit status 2") {
		t.Errorf("got %v", err)
	}
}
