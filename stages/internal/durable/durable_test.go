package durable

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	var steps []string
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "x/y/b")
	w := &Writer{Temp: filepath.Join(dir, "tmp"), Step: func(s string) {
		seen, _ := os.ReadFile(a) // what others see under the final name
		steps = append(steps, s+" "+string(seen))
	}}
	if err := MkdirAll(w.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"old", "new"} {
		if err := w.Write(File{Path: a, Data: []byte(content)}, File{Path: b, Data: nil, Perm: 0o600}); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(a); string(got) != content {
			t.Errorf("a holds %q, want %q", got, content)
		}
	}
	for path, want := range map[string]os.FileMode{a: 0o644, b: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, info, err, want)
		}
	}
	if diff := cmp.Diff([]string{"temporary ", "flushed ", "renamed old", "temporary old", "flushed old", "renamed new"}, steps); diff != "" {
		t.Error(diff)
	}
	wantEmpty(t, w.Temp)
}

// A batch that is large enough to be flushed as a whole is written like any other.
func TestWriteTogether(t *testing.T) {
	dir := t.TempDir()
	w := &Writer{Temp: filepath.Join(dir, "tmp")}
	if err := MkdirAll(w.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	files := make([]File, 2*together)
	for i := range files {
		files[i] = File{Path: filepath.Join(dir, "out", strconv.Itoa(i)), Data: []byte(strconv.Itoa(i))}
	}
	if err := w.Write(files...); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(f.Path); err != nil || string(got) != string(f.Data) {
			t.Errorf("%s holds %q, %v", f.Path, got, err)
		}
	}
	wantEmpty(t, w.Temp)
}

// A batch that fails leaves older files as they were and no temporary file.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	w := &Writer{Temp: filepath.Join(dir, "tmp")}
	if err := MkdirAll(w.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	a, folder := filepath.Join(dir, "a"), filepath.Join(dir, "folder")
	if err := w.Write(File{Path: a, Data: []byte("old")}, File{Path: filepath.Join(folder, "x")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(File{Path: folder, Data: []byte("new")}, File{Path: a, Data: []byte("new")}); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if got, _ := os.ReadFile(a); string(got) != "old" {
		t.Errorf("a holds %q", got)
	}
	if err := w.Write(File{Path: filepath.Join(a, "below"), Data: []byte("x")}); err == nil {
		t.Error("a file below a file was written")
	}
	wantEmpty(t, w.Temp)
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1.tmp", "2.tmp", "keep"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "keep" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *Lock {
		l, err := OpenLock(path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b, c := open(), open(), open()
	try := func(l *Lock, want bool, when string) {
		t.Helper()
		if got, err := l.TryLock(); err != nil || got != want {
			t.Errorf("%s: TryLock is %v, %v; want %v", when, got, err, want)
		}
	}
	try(a, true, "free")
	try(b, false, "held by a")
	if err := a.Unlock(); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Lock{a, b} {
		if err := l.RLock(); err != nil {
			t.Fatal(err)
		}
	}
	try(c, false, "read by a and b")
	for _, l := range []*Lock{a, b} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	try(c, true, "closed by a and b")
	if err := c.Lock(); err != nil {
		t.Errorf("again: %v", err)
	}
	c.Close()
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v", dir, entries, err)
	}
}
