package host

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero"
)

// openCache opens the on-disk cache of compiled modules. Its entries are machine
// code that will run in this process, so a folder that others may write to, or
// that somebody else owns, is refused. An empty dir means no cache.
func openCache(dir string) (wazero.CompilationCache, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	if err := private(dir, info); err != nil {
		return nil, err
	}
	return wazero.NewCompilationCacheWithDir(dir)
}

// private refuses what is not a folder of our own with mode 0700.
func private(dir string, info fs.FileInfo) error {
	switch {
	case !info.IsDir():
		return fmt.Errorf("kernel cache %s is not a folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("kernel cache %s has mode %04o: compiled code must be private (chmod 700 it, or remove it)", dir, info.Mode().Perm())
	case !ownedByUs(info):
		return fmt.Errorf("kernel cache %s belongs to another user: compiled code must be our own", dir)
	}
	return nil
}
