package capability

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
)

// Bounds of a blob.
const (
	// DefaultBlob is the largest content of a Blob whose configuration names
	// none.
	DefaultBlob = 16 << 20
	// MaxBlob is the largest limit that can be granted.
	MaxBlob = 1 << 30
)

// Blob reads content by its digest out of a folder in the form of an OCI image
// layout (image-spec v1.1, image-layout.md): blobs/sha256/<64 hex>.
type Blob struct {
	dir   string
	limit int64
}

// NewBlob returns a Blob over the layout in dir, with the largest content in
// bytes (0: DefaultBlob). The folder need not exist yet: a pipeline may fill it.
func NewBlob(dir string, limit int64) *Blob {
	if limit == 0 {
		limit = DefaultBlob
	}
	return &Blob{dir, limit}
}

// Get returns the content of a digest after checking it.
func (b *Blob) Get(digest string) ([]byte, error) {
	d, err := pipeline.ParseDigest(digest)
	if err != nil {
		return nil, fault(Failed, "not a digest: want sha256: and 64 lower-case hex digits")
	}
	content, err := b.read(filepath.Join(b.dir, "blobs", "sha256", d.Hex()))
	var told *Error
	switch {
	case errors.As(err, &told):
		return nil, told
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault(NotFound, "no content of that digest")
	case err != nil: // its text names a path of the host
		return nil, fault(Failed, "the content cannot be read")
	case pipeline.DigestOf(content) != d:
		return nil, fault(Failed, "the stored content does not match its digest")
	}
	return content, nil
}

// read returns a file of at most the limit, whatever its size says.
func (b *Blob) read(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Size() > b.limit {
		return nil, fault(TooLarge, "content of %d bytes, the limit is %d", info.Size(), b.limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, b.limit+1))
	if err == nil && int64(len(content)) > b.limit {
		return nil, fault(TooLarge, "content of more than %d bytes", b.limit)
	}
	return content, err
}
