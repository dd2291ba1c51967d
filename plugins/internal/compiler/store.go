package compiler

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/cpu"
)

const (
	sumsFile    = "SHA256SUMS"
	draftPrefix = "draft-"
	// draftAge is when a draft is nobody's any more: far beyond any deadline.
	draftAge = time.Hour
)

// store is the folder of compiled modules.
type store struct {
	dir string
	log *slog.Logger
}

// openStore makes the folder if there is none. Its files are machine code that
// will run in this process, so a folder that others may write to, or that
// somebody else owns, is refused.
func openStore(dir string, log *slog.Logger) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return store{}, fmt.Errorf("kernel cache: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return store{}, fmt.Errorf("kernel cache: %w", err)
	}
	return store{dir, log}, private(dir, info)
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

// identify names the machine code of a module: the module, the engine and the
// processor, whose features the code uses.
func identify(wasm []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %v %v\n", engineVersion(), runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
	h.Write(wasm)
	return hex.EncodeToString(h.Sum(nil))
}

func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/tetratelabs/wazero" {
				return m.Version
			}
		}
	}
	return "unknown"
}

// find returns the folder of a module, or "" if there is none that is intact.
func (s store) find(id string) (string, error) {
	folder := filepath.Join(s.dir, id)
	err := verify(folder)
	switch {
	case err == nil:
		return folder, nil
	case errors.Is(err, fs.ErrNotExist) && !exists(folder):
		return "", nil
	}
	s.log.Warn("kernel cache: a compiled module is damaged and is compiled again", "folder", folder, "error", err)
	if err := os.RemoveAll(folder); err != nil {
		return "", fmt.Errorf("kernel cache: %w", err)
	}
	return "", nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// draft makes a folder to compile into, and removes those of crashed runs.
func (s store) draft() (string, error) {
	old, err := filepath.Glob(filepath.Join(s.dir, draftPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, d := range old {
		if info, err := os.Stat(d); err == nil && time.Since(info.ModTime()) > draftAge {
			_ = os.RemoveAll(d) // another run may be at it as well
		}
	}
	return os.MkdirTemp(s.dir, draftPrefix)
}

// keep seals a draft and gives it its name. Another process may have been
// quicker; its folder is as good.
func (s store) keep(draft, id string) (string, error) {
	sums, err := digests(draft)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(draft, sumsFile), []byte(sums), 0o600); err != nil {
		return "", err
	}
	folder := filepath.Join(s.dir, id)
	if err := os.Rename(draft, folder); err != nil {
		if found, findErr := s.find(id); findErr == nil && found != "" {
			return found, os.RemoveAll(draft)
		}
		return "", err
	}
	return folder, nil
}

// verify compares a folder's files, all of them, with its sums.
func verify(folder string) error {
	want, err := os.ReadFile(filepath.Join(folder, sumsFile))
	if err != nil {
		return err
	}
	got, err := digests(folder)
	if err != nil {
		return err
	}
	if string(want) != got {
		return errors.New("its files do not have the digests in " + sumsFile)
	}
	return nil
}

// digests lists a folder's files with their digests, in lexical order. What is
// neither a file nor a folder has no place there.
func digests(folder string) (string, error) {
	var sums strings.Builder
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is not a file", path)
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || name == sumsFile {
			return err
		}
		sum, err := digest(path)
		fmt.Fprintf(&sums, "%x  %s\n", sum, filepath.ToSlash(name))
		return err
	})
	return sums.String(), err
}

func digest(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 128<<10))
	return h.Sum(nil), err
}
