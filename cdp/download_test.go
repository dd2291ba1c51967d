package cdp

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whoever took the browser over writes into the folder for downloads, and says
// what the file there is called. He gets nothing read that is not his.
func TestDownloadDirIsLeftByNoLink(t *testing.T) {
	profile, elsewhere := t.TempDir(), t.TempDir()
	d, err := newDownloadDir(profile)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(elsewhere, "secret")
	for _, err := range []error{
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(profile, "outside"), []byte("secret"), 0o600),
		os.Symlink(secret, filepath.Join(d.path(), "link")),
		syscall.Mkfifo(filepath.Join(d.path(), "pipe"), 0o600),
		os.WriteFile(filepath.Join(d.path(), "file"), []byte("own"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, guid := range []string{"link", "../outside", secret, "..", ".", "", "none"} {
		if raw, err := d.read(guid, 100); err == nil {
			t.Errorf("%q gives %q", guid, raw)
		}
	}
	var state *StateError
	if _, err := d.read("pipe", 100); !errors.As(err, &state) {
		t.Errorf("a pipe: %v", err)
	}
	// The folder itself is changed for a link to another.
	if err := errors.Join(os.Rename(d.path(), filepath.Join(profile, "away")), os.Symlink(elsewhere, d.path())); err != nil {
		t.Fatal(err)
	}
	if raw, err := d.read("secret", 100); err == nil {
		t.Errorf("through the changed folder: %q", raw)
	}
	if raw, err := d.read("file", 100); err != nil || string(raw) != "own" || !d.has("fil") || d.has("secret") {
		t.Errorf("the folder that was made: %q, %v", raw, err)
	}
	d.remove()
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("what the link leads to: %v", err)
	}
}
