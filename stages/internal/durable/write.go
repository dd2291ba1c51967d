package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

const (
	// syncers bounds how many fsyncs of one batch wait at the same time.
	syncers = 8
	// together is the size from which on a batch is flushed by one syncfs. Below
	// it, fsync waits only for what the batch itself wrote.
	together = 24
)

// File is one file of a batch.
type File struct {
	// Path is its final name.
	Path string
	Data []byte
	// Perm is its mode; 0 means 0644.
	Perm fs.FileMode
}

// Writer writes batches. The zero value is not usable: Temp must be set.
type Writer struct {
	// Temp is a folder for temporary files. It must be on the same file system
	// as the files and belong to this kind of store alone: Sweep empties it.
	Temp string
	// Step, if set, is called between every two steps of a batch with the name
	// of the step that is done. Tests kill the process there.
	Step func(done string)
}

// Write makes all files durable under their final names, replacing older ones.
// Missing folders are made. After an error no file is half-written under its
// final name, but some of the batch may be there, whole.
func (w *Writer) Write(files ...File) (err error) {
	if len(files) == 0 {
		return nil
	}
	temps := make([]*os.File, 0, len(files))
	defer func() {
		for _, f := range temps {
			f.Close()
			if err != nil {
				os.Remove(f.Name())
			}
		}
	}()
	touched, err := makeParents(files)
	if err != nil {
		return err
	}
	for _, f := range files {
		temp, err := w.writeTemp(f)
		if temp != nil {
			temps = append(temps, temp)
		}
		if err != nil {
			return err
		}
	}
	w.step("temporary")
	if err := syncAll(temps); err != nil {
		return err
	}
	w.step("flushed")
	for i, f := range files {
		if err := os.Rename(temps[i].Name(), f.Path); err != nil {
			return err
		}
	}
	w.step("renamed")
	return SyncDirs(touched...)
}

func (w *Writer) step(done string) {
	if w.Step != nil {
		w.Step(done)
	}
}

func (w *Writer) writeTemp(f File) (*os.File, error) {
	temp, err := os.CreateTemp(w.Temp, "*.tmp")
	if err != nil {
		return nil, err
	}
	perm := f.Perm
	if perm == 0 {
		perm = 0o644
	}
	if err := temp.Chmod(perm); err != nil {
		return temp, err
	}
	_, err = temp.Write(f.Data)
	return temp, err
}

func syncAll(files []*os.File) error {
	if len(files) >= together {
		if done, err := syncTogether(files[0]); done {
			return err
		}
	}
	var g errgroup.Group
	g.SetLimit(syncers)
	for _, f := range files {
		g.Go(f.Sync)
	}
	return g.Wait()
}

// makeParents makes the folders of all files and returns every folder whose
// entries the batch changes: those of the files, and those that got a new folder.
func makeParents(files []File) ([]string, error) {
	var touched []string
	seen := map[string]bool{}
	for _, f := range files {
		for dir := filepath.Dir(f.Path); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			touched = append(touched, dir)
			if _, err := os.Stat(dir); err == nil {
				break
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return nil, err
		}
	}
	return touched, nil
}

// SyncDirs flushes the entries of folders: names that were made, renamed or
// removed in them.
func SyncDirs(dirs ...string) error {
	for _, dir := range dirs {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		err = errors.Join(d.Sync(), d.Close())
		if err != nil {
			return fmt.Errorf("flush folder %s: %w", dir, err)
		}
	}
	return nil
}

// MkdirAll makes a folder and its parents, durably.
func MkdirAll(dir string, perm fs.FileMode) error {
	var touched []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		touched = append(touched, at)
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			break
		}
	}
	if err := os.MkdirAll(dir, perm); err != nil {
		return err
	}
	if len(touched) == 1 {
		return nil
	}
	return SyncDirs(touched...)
}
