package plugins

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// staleNote says that a module was built before its source was last changed; ""
// if not, or if no project stands around it. Times are all that it looks at, so
// it is a hint and no error: a fresh clone may have them in any order.
func staleNote(module string) string {
	dir := filepath.Dir(module)
	built, err := os.Stat(module)
	if err != nil || !exists(filepath.Join(dir, manifestFile)) {
		return ""
	}
	newest, at := "", built.ModTime()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error { // what cannot be read is not compared
		switch {
		case err != nil:
			return nil
		case e.IsDir() && path != dir && !holdsSource(e.Name()):
			return filepath.SkipDir
		case e.IsDir() || !isSource(e.Name()):
			return nil
		}
		if info, err := e.Info(); err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
		return nil
	})
	if newest == "" {
		return ""
	}
	return module + " is older than " + newest + ": waybill kernel build " + dir
}

// isSource tells whether a module is made of such a file, in any language.
func isSource(name string) bool {
	switch name {
	case manifestFile, "go.mod", "Cargo.toml", "asconfig.json", "build.flags":
		return true
	}
	switch filepath.Ext(name) {
	case ".go", ".rs", ".ts", ".c", ".h", ".zig":
		return !strings.HasSuffix(name, "_test.go")
	}
	return false
}

// holdsSource is false for the folders of tools and of tests.
func holdsSource(dir string) bool {
	return dir != casesDir && dir != "target" && dir != "node_modules" && !strings.HasPrefix(dir, ".") && !strings.HasPrefix(dir, "zig-")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
