package capability

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
)

// layout makes a store and returns the folder of its blobs.
func layout(t *testing.T) (dir, blobs string) {
	t.Helper()
	dir = t.TempDir()
	blobs = filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, blobs
}

func store(t *testing.T, blobs, name, content string) string {
	t.Helper()
	d := pipeline.DigestOf([]byte(name))
	if err := os.WriteFile(filepath.Join(blobs, d.Hex()), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return string(d)
}

func TestBlob(t *testing.T) {
	dir, blobs := layout(t)
	good, empty := store(t, blobs, "good", "good"), store(t, blobs, "", "")
	full, large := store(t, blobs, "12345678", "12345678"), store(t, blobs, "123456789", "123456789")
	damaged := store(t, blobs, "damaged", "damage!")
	folder := string(pipeline.DigestOf([]byte("folder")))
	if err := os.Mkdir(filepath.Join(blobs, pipeline.Digest(folder).Hex()), 0o700); err != nil {
		t.Fatal(err)
	}
	b := NewBlob(dir, 8)
	for digest, want := range map[string]string{good: "good", empty: "", full: "12345678"} {
		if got, err := b.Get(digest); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", digest, got, err, want)
		}
	}
	for digest, want := range map[string]Code{
		large: TooLarge, damaged: Failed, folder: Failed,
		string(pipeline.DigestOf([]byte("nowhere"))): NotFound,
		"": Failed, "sha256:": Failed, "sha256:../../good": Failed, strings.ToUpper(good): Failed, good[7:]: Failed,
		"sha512:" + good[7:]: Failed, good + "/": Failed,
	} {
		got, err := b.Get(digest)
		if err == nil || CodeOf(err) != want {
			t.Errorf("%s: %q, %v; want code %d", digest, got, err, want)
		} else if strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the message names the folder: %v", digest, err)
		}
	}
}

func TestBlobWithoutAStore(t *testing.T) {
	b := NewBlob(filepath.Join(t.TempDir(), "later"), 0)
	digest := string(pipeline.DigestOf(nil))
	if _, err := b.Get(digest); CodeOf(err) != NotFound {
		t.Errorf("got %v, want not found", err)
	}
	if b.limit != DefaultBlob {
		t.Errorf("the limit is %d", b.limit)
	}
}
