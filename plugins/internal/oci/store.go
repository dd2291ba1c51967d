package oci

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
)

// CodeStore: the store's folder cannot be read or written.
const CodeStore = "kernel-store"

// Store is a folder of manifests and modules by digest, blobs/sha256/<hex> as in
// an OCI image layout. Nothing in it is trusted: whatever is read is compared
// with its digest. The zero Store keeps nothing and has nothing.
type Store struct {
	// Dir is the folder that has blobs in it.
	Dir string
}

func (s Store) path(d pipeline.Digest) string {
	return filepath.Join(s.Dir, "blobs", "sha256", d.Hex())
}

// Get returns the content with that digest. The error is fs.ErrNotExist if there
// is none, and has the code kernel-digest if it is damaged.
func (s Store) Get(d pipeline.Digest) ([]byte, error) {
	if s.Dir == "" {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, pipeline.Fail(CodeStore, "%w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, MaxModule+1))
	if err != nil {
		return nil, pipeline.Fail(CodeStore, "%w", err)
	}
	if got := pipeline.DigestOf(content); got != d {
		return nil, pipeline.Fail(CodeDigest, "the stored copy of %s is damaged: it has the digest %s", d, got).
			WithHint("remove %s and fetch it again", s.path(d))
	}
	return content, nil
}

// Put keeps content under its digest. Others never see half of it; a damaged
// copy is replaced.
func (s Store) Put(content []byte) (err error) {
	if s.Dir == "" {
		return nil
	}
	if _, err := s.Get(pipeline.DigestOf(content)); err == nil {
		return nil
	}
	path := s.path(pipeline.DigestOf(content))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return pipeline.Fail(CodeStore, "%w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "draft-*")
	if err != nil {
		return pipeline.Fail(CodeStore, "%w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return pipeline.Fail(CodeStore, "%w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
