// Command generate writes what is made from the source: the JSON Schema of
// pipeline files, the reference page, the projects of `kernel new`. `make generate` runs it;
// TestGenerated fails when a file is stale.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

//go:generate go run .

func main() {
	root, err := moduleRoot()
	if err == nil {
		err = write(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// files renders every generated file, by its path in the module.
func files(root string) (map[string][]byte, error) {
	docs := newFieldDocs(root)
	set := pipeline.NewSet(definitions()...)
	schema, err := pipeline.Schema(set, docs)
	if err != nil {
		return nil, err
	}
	reference := pipeline.Reference(set, docs)
	if docs.err != nil {
		return nil, docs.err
	}
	all, err := projects(root)
	if err != nil {
		return nil, err
	}
	all["spec/pipeline.schema.json"], all["docs/reference.md"] = schema, reference
	return all, nil
}

func write(root string) error {
	all, err := files(root)
	if err != nil {
		return err
	}
	for path, content := range all {
		full := filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stale names the generated files that differ from what is on disk.
func stale(root string) ([]string, error) {
	all, err := files(root)
	if err != nil {
		return nil, err
	}
	var out []string
	for path, want := range all {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil || !bytes.Equal(got, want) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out, nil
}

// moduleRoot is the nearest folder above with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}
