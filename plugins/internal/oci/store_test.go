package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

func TestStore(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "kernels")}
	content := []byte("content")
	d := pipeline.DigestOf(content)
	if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty store: %v", err)
	}
	for range 2 {
		if err := s.Put(content); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	}
	name := filepath.Join(s.Dir, "blobs", "sha256", d.Hex())
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*")); err != nil || len(left) != 1 || left[0] != name {
		t.Errorf("in the store: %v, %v", left, err)
	}
	if info, err := os.Stat(s.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v; the folder of compiled code must be private", info.Mode(), err)
	}
	if err := os.WriteFile(name, []byte("tampered"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(d)
	wantCode(t, err, CodeDigest, "damaged")
	if err := s.Put(content); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(d); err != nil || string(got) != "content" {
		t.Errorf("after it was put again: %q, %v", got, err)
	}
}

func TestNoStore(t *testing.T) {
	var s Store
	if err := s.Put([]byte("content")); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(pipeline.DigestOf([]byte("content"))); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, Store{file}.Put([]byte("content")), CodeStore, file)
	_, err := Store{file}.Get(someDigest)
	wantCode(t, err, CodeStore, file)
}
