package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
)

// LockFile is the name of the lock file; it stands beside the pipeline files
// that it is for.
const LockFile = "waybill.lock"

// CodeLock: a lock file that cannot be read.
const CodeLock = "bad-lock"

// lockVersion is the version of the format.
const lockVersion = "v1"

// maxLock bounds a lock file, in bytes.
const maxLock = 1 << 20

// Pin is the content that a tag stood for when it was pinned.
type Pin struct {
	// Manifest is what a registry is asked for, Digest is the module's.
	Manifest pipeline.Digest `json:"manifest"`
	Digest   pipeline.Digest `json:"digest"`
	// Size of the module in bytes.
	Size int64 `json:"size"`
}

// Lock is what a lock file says: the pin of each reference, by its text in the
// pipeline file.
type Lock map[string]Pin

// lockText is the file: JSON, which sorts its keys, indented by two spaces.
type lockText struct {
	Waybill string `json:"waybill"`
	Kernels Lock   `json:"kernels"`
}

// ReadLock reads the lock file in a folder; without one the lock is empty.
func ReadLock(dir string) (Lock, error) {
	name := filepath.Join(dir, LockFile)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Lock{}, nil
	}
	if err != nil {
		return nil, pipeline.Fail(CodeLock, "%w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err != nil {
		return nil, pipeline.Fail(CodeLock, "%w", err)
	}
	l, err := parseLock(raw)
	if err != nil {
		return nil, pipeline.Fail(CodeLock, "%s: %w", name, err).WithHint("take it from version control, or remove it and lock again")
	}
	return l, nil
}

func parseLock(raw []byte) (Lock, error) {
	if len(raw) > maxLock {
		return nil, fmt.Errorf("it is larger than %d bytes", maxLock)
	}
	var t lockText
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the end")
	}
	if t.Waybill != lockVersion {
		return nil, fmt.Errorf("waybill is %q, want %q", t.Waybill, lockVersion)
	}
	l := Lock{}
	for use, p := range t.Kernels {
		if err := p.check(use); err != nil {
			return nil, fmt.Errorf("%s: %w", use, err)
		}
		l[use] = p
	}
	return l, nil
}

func (p Pin) check(use string) error {
	_, err := Parse(use)
	for _, d := range []pipeline.Digest{p.Manifest, p.Digest} {
		if err == nil {
			_, err = pipeline.ParseDigest(string(d))
		}
	}
	if err == nil && (p.Size < 0 || p.Size > MaxModule) {
		err = fmt.Errorf("size is %d, want 0 to %d", p.Size, MaxModule)
	}
	return err
}

// Write replaces the lock file in a folder and returns its name. The same pins
// give the same bytes.
func (l Lock) Write(dir string) (string, error) {
	raw, err := json.MarshalIndent(lockText{lockVersion, l}, "", "  ")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, LockFile)
	f, err := os.CreateTemp(filepath.Dir(name), LockFile+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return name, nil
}
