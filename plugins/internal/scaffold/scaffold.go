package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

//go:embed projects/*.txtar
var projects embed.FS

// ErrNotEmpty: the folder for a new project has something in it.
var ErrNotEmpty = errors.New("the folder is not empty")

// ErrLanguage: there is no template for the language.
var ErrLanguage = errors.New("no such language")

// Languages lists the languages, sorted.
func Languages() []string {
	names, _ := fs.Glob(projects, "projects/*.txtar") // the pattern is good
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".txtar")
	}
	return names
}

// Write writes a project of that language into dir, which must not exist or be
// empty, and returns its files, relative to dir. The kernel is named after the
// folder. The error may be ErrLanguage or ErrNotEmpty.
func Write(lang, dir string) ([]string, error) {
	packed, err := projects.ReadFile("projects/" + lang + ".txtar")
	if err != nil || !slices.Contains(Languages(), lang) {
		return nil, fmt.Errorf("%w: %q", ErrLanguage, lang)
	}
	if err := empty(dir); err != nil {
		return nil, err
	}
	var names []string
	for _, f := range txtar.Parse(packed).Files {
		if f.Name == manifestFile {
			f.Data = named(f.Data, kernelName(dir))
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(f.Name)), f.Data); err != nil {
			return names, err
		}
		names = append(names, f.Name)
	}
	return names, nil
}

// empty makes the folder, or refuses one that has something in it.
func empty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s has %s", ErrNotEmpty, dir, entries[0].Name())
	}
	return nil
}

// writeFile never writes over a file.
func writeFile(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}

const manifestFile = "kernel.json"

var (
	nameKey  = regexp.MustCompile(`"name": *"[^"]*"`)
	notAName = regexp.MustCompile(`[^a-z0-9]+`)
)

// named puts the kernel's name into its manifest: the first key "name" is the
// manifest's own.
func named(manifest []byte, name string) []byte {
	at := nameKey.FindIndex(manifest)
	if at == nil || name == "" {
		return manifest
	}
	return slices.Concat(manifest[:at[0]], []byte(`"name": "`+name+`"`), manifest[at[1]:])
}

// kernelName makes a name of what a manifest allows from the folder's; empty if
// nothing is left.
func kernelName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return strings.Trim(notAName.ReplaceAllString(strings.ToLower(filepath.Base(abs)), "-"), "-")
}
