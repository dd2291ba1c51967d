package main

import (
	"slices"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

func TestProject(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	packed, err := project("x", fstest.MapFS{
		"sdk.x": text("the SDK\n"), "src/deep.x": text(""), "README.md": text("read\n"),
		"template/main.x": text("main\n"), "template/.gitignore": text("*.wasm\n"), "template/kernel.json": text("{}\n"), "template/cases/a.json": text("{}\n"),
		".gitignore": text("left out\n"), "sdk_test.x": text("left out\n"), "conform/c.x": text("left out\n"), "conform/conform.wasm": text("\xff"),
		"target/debug/x": text("\xff"), "tests/t.x": text("left out\n"), "template/built.wasm": text("\xff"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range txtar.Parse(packed).Files {
		names = append(names, f.Name)
	}
	want := []string{".gitignore", "cases/a.json", "kernel.json", "main.x", "waybill/README.md", "waybill/sdk.x", "waybill/src/deep.x"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// What an archive of text would change is refused, not changed.
func TestProjectRefuses(t *testing.T) {
	for name, data := range map[string]string{"no line feed at the end": "x", "a marker": "a\n-- b --\nc\n", "no text": "\xff\n"} {
		if _, err := project("x", fstest.MapFS{"f": &fstest.MapFile{Data: []byte(data)}}); err == nil {
			t.Errorf("%s: packed", name)
		}
	}
}
