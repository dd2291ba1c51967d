package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestPrivateDir(t *testing.T) {
	base := t.TempDir()
	fresh := filepath.Join(base, "a", "b")
	if err := privateDir(fresh, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(fresh)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v; want 0700", info.Mode(), err)
	}
	if err := privateDir(fresh, 0o711); err != nil {
		t.Fatal(err)
	}
	if info, err = os.Stat(fresh); err != nil || info.Mode().Perm() != 0o711 {
		t.Fatalf("mode %v, %v; want 0711", info.Mode(), err)
	}
	if err := os.Chmod(fresh, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, dir := range map[string]string{"writable by others": fresh, "a link": link, "a file": file} {
		if privateDir(dir, 0o700) == nil {
			t.Errorf("a folder that is %s is accepted", what)
		}
	}
}

func TestDirsFromEnvironment(t *testing.T) {
	base := t.TempDir()
	t.Setenv("WAYBILL_CACHE", filepath.Join(base, "cache"))
	t.Setenv("WAYBILL_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", base)
	if got := cacheDir(); got != filepath.Join(base, "cache") {
		t.Errorf("cache folder %q", got)
	}
	if got, err := runtimeDir(); err != nil || got != filepath.Join(base, "waybill-"+strconv.Itoa(os.Getuid())) {
		t.Errorf("runtime folder %q, %v", got, err)
	}
	t.Setenv("WAYBILL_RUNTIME_DIR", filepath.Join(base, "run"))
	if got, err := runtimeDir(); err != nil || got != filepath.Join(base, "run") {
		t.Errorf("runtime folder %q, %v", got, err)
	}
}
