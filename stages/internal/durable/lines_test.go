package durable

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

func mustOpenLines(t testing.TB, path string) *Lines {
	t.Helper()
	l, err := OpenLines(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("the file has %.60q, want %.60q (%v)", got, want, err)
	}
}

// What a crash tore off is cut away, and nothing else.
func TestMend(t *testing.T) {
	long := strings.Repeat("x", 200<<10) // longer than one step of the search
	for name, tc := range map[string]struct{ before, after string }{
		"empty":                {"", ""},
		"whole lines":          {"{}\n{}\n", "{}\n{}\n"},
		"only a newline":       {"\n", "\n"},
		"torn":                 {"{}\n{\"id\":", "{}\n"},
		"torn in a string":     {"{}\n{\"id\":\"a", "{}\n"},
		"torn in a letter":     {"{}\n{\"id\":\"\xc3", "{}\n"},
		"torn in a word":       {"{}\ntru", "{}\n"},
		"torn, long":           {"{}\n\"" + long, "{}\n"},
		"torn, all there is":   {"{\"id", ""},
		"lost with the power":  {"{}\n{\"id\":\x00\x00\x00", "{}\n"},
		"nothing but zeroes":   {"{}\n\x00\x00\x00", "{}\n"},
		"a value without end":  {"{}\n{\"last\":1}", "{}\n{\"last\":1}\n"},
		"one value, no end":    {"{\"a\":[\n1]}", "{\"a\":[\n1]}\n"},
		"text of somebody":     {"one\ntwo\nthree", "one\ntwo\nthree\n"},
		"a value and more":     {"{} x", "{} x\n"},
		"a number without end": {"1\n23", "1\n23\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(path, []byte(tc.before), 0o644); err != nil {
				t.Fatal(err)
			}
			l := mustOpenLines(t, path)
			wantFile(t, path, tc.before)
			if text, err := l.Load(); err != nil || string(text) != tc.after {
				t.Errorf("loaded %.60q, %v; want %.60q", text, err, tc.after)
			}
			if err := l.Append([]byte("{\"n\":1}\n")); err != nil {
				t.Fatal(err)
			}
			wantFile(t, path, tc.after+"{\"n\":1}\n")
		})
	}
}

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	a, b := mustOpenLines(t, path), mustOpenLines(t, path)
	if free, err := a.Hold(); !free || err != nil {
		t.Fatalf("free: %v, %v", free, err)
	}
	if free, err := b.Hold(); free || err != nil {
		t.Fatalf("held by two: %v, %v", free, err)
	}
	for range 2 {
		if err := a.Add([]byte("1\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	if first, err := a.First(); err != nil || string(first) != "1\n" {
		t.Errorf("the first line is %q, %v", first, err)
	}
	wantFile(t, path, "1\n1\n")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if free, err := b.Hold(); !free || err != nil {
		t.Errorf("after Close: %v, %v", free, err)
	}
}

// Writers that share a file, in one process and in several, do not mix lines.
func TestSharedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	var wg sync.WaitGroup
	for w := range 3 {
		l := mustOpenLines(t, path)
		for g := range 2 {
			wg.Go(func() {
				for i := range 20 {
					line := fmt.Sprintf("%q\n", strings.Repeat(fmt.Sprint(w, g, i, " "), 500))
					if err := l.Append([]byte(line)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	text, err := mustOpenLines(t, path).Load()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line[0] != '"' || !bytes.HasSuffix(line, []byte("\"\n")) {
			t.Fatalf("a mixed-up line: %.60q", line)
		}
	}
	if n != 3*2*20 {
		t.Errorf("%d lines, want 120", n)
	}
}

// A write that fails leaves the file as it was.
func TestLinesFail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	l := mustOpenLines(t, path)
	if err := l.Append([]byte("1\n")); err != nil {
		t.Fatal(err)
	}
	if err := l.write([]byte("2\n"), func() error { return syscall.EIO }); err == nil {
		t.Error("a flush that failed is no error")
	}
	wantFile(t, path, "1\n")

	full := mustOpenLines(t, "/dev/full")
	err := WriteError("x", full.Append([]byte("1\n")), pipeline.Retry, "write")
	if err.Kind != pipeline.Unavailable || err.Code != CodeDiskFull || err.Hint == "" {
		t.Errorf("a full disk is %+v", err)
	}
	if err := WriteError("x", syscall.EIO, pipeline.Retry, "write"); err.Kind != pipeline.Retry || err.Code != "write" {
		t.Errorf("another failure is %+v", err)
	}
	if _, err := OpenLines(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}
