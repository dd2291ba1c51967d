package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func FuzzJournal(f *testing.F) {
	f.Add([]byte("{\"did\":\"claim\",\"id\":\"a\"}\n{\"did\":\"end\",\"id\":\"a\",\"result\":\"succeeded\"}\n"))
	f.Add([]byte("{\"did\":\"refund\"}\ntorn"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		path := filepath.Join(t.TempDir(), "ckpt")
		j, err := OpenJournal(path, "file:x", "items")
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		tear(t, path, string(tail))
		if j, err = OpenJournal(path, "file:x", "items"); err != nil {
			return
		}
		if err := errors.Join(j.note(true, line{Did: didEnd, ID: "new"}), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, err = OpenJournal(path, "file:x", "items"); err != nil || !j.past["new"].ended {
			t.Fatalf("what was written after %q is not there: %v", tail, err)
		}
		_ = j.Close()
	})
}

func tear(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
