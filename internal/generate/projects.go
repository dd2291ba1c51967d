package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// projects packs, for each language with a template, the project that `kernel
// new` writes: the template, and below waybill/ the sources of the SDK. An
// archive, because a folder with a go.mod cannot be embedded.
func projects(root string) (map[string][]byte, error) {
	templates, err := filepath.Glob(filepath.Join(root, "plugins/sdk/*/template"))
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(templates))
	for _, t := range templates {
		if _, err := os.Stat(filepath.Join(t, "kernel.json")); err != nil {
			continue // not a project
		}
		sdk := filepath.Dir(t)
		lang := filepath.Base(sdk)
		packed, err := project(lang, os.DirFS(sdk))
		if err != nil {
			return nil, fmt.Errorf("project of %s: %w", lang, err)
		}
		out["plugins/internal/scaffold/projects/"+lang+".txtar"] = packed
	}
	return out, nil
}

// project packs one SDK's folder.
func project(lang string, sdk fs.FS) ([]byte, error) {
	a := &txtar.Archive{Comment: []byte("A new project in " + lang + ". Generated from plugins/sdk/" + lang + " by internal/generate.\n\n")}
	err := fs.WalkDir(sdk, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == "." || name == "template":
			return nil
		case leftOut(name) && d.IsDir():
			return fs.SkipDir
		case leftOut(name) || d.IsDir():
			return nil
		}
		data, err := fs.ReadFile(sdk, name)
		if err != nil {
			return err
		}
		if err := packable(name, data); err != nil {
			return err
		}
		a.Files = append(a.Files, txtar.File{Name: placed(name), Data: data})
		return nil
	})
	slices.SortFunc(a.Files, func(x, y txtar.File) int { return strings.Compare(x.Name, y.Name) })
	return txtar.Format(a), err
}

// placed is where a file of the SDK's folder stands in the project.
func placed(name string) string {
	if rest, ok := strings.CutPrefix(name, "template/"); ok {
		return rest
	}
	return "waybill/" + name
}

// leftOut tells what no project needs: what tests the SDK, and what tools leave
// behind.
func leftOut(name string) bool {
	base := path.Base(name)
	switch base {
	case ".gitignore", "kernel.json":
		return !strings.HasPrefix(name, "template/")
	case "conform", "bench", "testdata", "tests", "test", "examples", "target", "Cargo.lock", "node_modules", "zig-cache", ".zig-cache", "zig-out":
		return true
	}
	return strings.Contains(base, "_test.") || strings.HasSuffix(base, ".wasm") || strings.HasSuffix(base, ".sha256")
}

// packable refuses what an archive of text cannot give back.
func packable(name string, data []byte) error {
	switch back := txtar.Parse(txtar.Format(&txtar.Archive{Files: []txtar.File{{Name: name, Data: data}}})); {
	case !utf8.Valid(data):
		return fmt.Errorf("%s is not text", name)
	case len(back.Files) != 1 || !bytes.Equal(back.Files[0].Data, data):
		return fmt.Errorf("%s does not come out of an archive as it went in: it must end in a line feed, and no line may look like a marker", name)
	}
	return nil
}
