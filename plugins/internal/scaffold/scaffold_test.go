package scaffold_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
	"github.com/waybill-dev/waybill/plugins/internal/scaffold"
)

// Every project has what the commands need: a manifest with a sample, named
// after the folder, golden cases that fit it, the SDK.
func TestProjectsAreComplete(t *testing.T) {
	if !slices.Contains(scaffold.Languages(), "go") {
		t.Fatalf("languages: %v", scaffold.Languages())
	}
	for _, lang := range scaffold.Languages() {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "My Kernel_2")
			files, err := scaffold.Write(lang, dir)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifest.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != "my-kernel-2" || len(m.Samples) == 0 {
				t.Errorf("name %q, %d samples", m.Name, len(m.Samples))
			}
			if cases, err := samples.ReadCases(filepath.Join(dir, "cases"), m); err != nil || len(cases) == 0 {
				t.Errorf("%d cases, %v", len(cases), err)
			}
			if got := written(t, dir); !slices.Equal(got, files) {
				t.Errorf("told %v, wrote %v", files, got)
			}
			for _, want := range []string{".gitignore", "README.md"} {
				if !slices.Contains(files, want) {
					t.Errorf("no %s in %v", want, files)
				}
			}
			for _, f := range files {
				if strings.Contains(f, "_test.") || strings.Contains(f, "conform") || strings.HasSuffix(f, ".wasm") {
					t.Errorf("%s is of no use in a project", f)
				}
			}
			if !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, "waybill/") }) {
				t.Error("no SDK")
			}
		})
	}
}

// written lists the files of a folder, sorted as in an archive.
func written(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestWriteRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine.txt"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write("go", full); !errors.Is(err, scaffold.ErrNotEmpty) || !strings.Contains(err.Error(), "mine.txt") {
		t.Errorf("a folder with a file: %v", err)
	}
	if got := written(t, full); len(got) != 1 {
		t.Errorf("something was written: %v", got)
	}
	file := filepath.Join(full, "mine.txt")
	if _, err := scaffold.Write("go", file); err == nil {
		t.Error("a file was taken for a folder")
	}
	for _, lang := range []string{"", "cobol", "../projects/go", "*"} {
		dir := filepath.Join(t.TempDir(), "new")
		if _, err := scaffold.Write(lang, dir); !errors.Is(err, scaffold.ErrLanguage) {
			t.Errorf("language %q: %v", lang, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("language %q: the folder was made", lang)
		}
	}
}

// A folder whose name has nothing that a kernel's name may have keeps the
// template's.
func TestNameOfOddFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "___")
	if _, err := scaffold.Write("go", dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "kernel.json"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := manifest.Parse(raw); err != nil || m.Name == "" {
		t.Errorf("%+v, %v", m, err)
	}
}
