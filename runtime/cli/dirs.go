package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// cacheDir returns the private folder for what is worth keeping between runs:
// WAYBILL_CACHE, or waybill in the user's cache folder. It returns "" (do not
// cache) when there is none that we own: a cache of compiled code that others
// may write to is worse than none.
func cacheDir() string {
	dir := os.Getenv("WAYBILL_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(base, "waybill")
	}
	if err := privateDir(dir, 0o700); err != nil {
		return ""
	}
	return dir
}

// runtimeDir returns the folder for what lives as long as a process:
// WAYBILL_RUNTIME_DIR, or waybill-UID in the temporary folder. XDG_RUNTIME_DIR
// is not for this: it may be a small disk in memory, and a browser writes a lot.
func runtimeDir() (string, error) {
	dir := os.Getenv("WAYBILL_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "waybill-"+strconv.Itoa(os.Getuid()))
	}
	mode := os.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o711 // a browser that root starts runs as another user
	}
	if err := privateDir(dir, mode); err != nil {
		return "", &exitError{exitProblem, fmt.Errorf("runtime folder: %w", err), "set WAYBILL_RUNTIME_DIR to a folder of your own"}
	}
	return dir, nil
}

// privateDir makes dir with at least this mode, or accepts it if it is a real
// folder that belongs to us and that nobody else can write to: in a shared
// temporary folder somebody else may have made the name first.
func privateDir(dir string, mode os.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New(dir + " is not a folder")
	case ok && int(stat.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to user %d", dir, stat.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by others (mode %04o)", dir, info.Mode().Perm())
	case info.Mode().Perm()&mode != mode:
		return os.Chmod(dir, info.Mode().Perm()|mode)
	}
	return nil
}
