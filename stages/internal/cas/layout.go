package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// Files of an OCI image layout, image-spec v1.1.
const (
	layoutFile = `{"imageLayoutVersion":"1.0.0"}`
	indexFile  = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// Layout is one place: an OCI image layout in a folder. It implements
// pipeline.Objects with one copy.
type Layout struct {
	name, dir string
	writer    durable.Writer
	lock      *durable.Lock // held shared while open for writing
}

var _ pipeline.Objects = (*Layout)(nil)

// OpenLayout opens the layout in dir; name is what reports call it. With create
// a missing one is made and writing is allowed, else it is only read.
func OpenLayout(name, dir string, create bool) (*Layout, error) {
	l := &Layout{name: name, dir: dir}
	if !create {
		if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
			return nil, fmt.Errorf("%s is not an object store: %w", name, err)
		}
		return l, nil
	}
	if err := l.openForWriting(); err != nil {
		return nil, fmt.Errorf("cannot write to the object store %s: %w", name, errors.Join(err, l.Close()))
	}
	return l, nil
}

// OnStep makes f see every step of every Put as it is done; see durable.Writer. It
// must be called before the first Put.
func (l *Layout) OnStep(f func(done string)) { l.writer.Step = f }

func (l *Layout) openForWriting() error {
	l.writer.Temp = filepath.Join(l.dir, "ingest")
	for _, dir := range []string{l.writer.Temp, l.blobs()} {
		if err := durable.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := l.sweep(); err != nil {
		return err
	}
	for name, content := range map[string]string{"oci-layout": layoutFile, "index.json": indexFile} {
		path := filepath.Join(l.dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := l.writer.Write(durable.File{Path: path, Data: []byte(content)}); err != nil {
			return err
		}
	}
	probe, err := os.CreateTemp(l.writer.Temp, "probe-*.tmp")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// sweep removes what crashed writers left, if no other writer lives, and then
// shares the lock as a living writer.
func (l *Layout) sweep() (err error) {
	if l.lock, err = durable.OpenLock(filepath.Join(l.writer.Temp, "lock")); err != nil {
		return err
	}
	alone, err := l.lock.TryLock()
	if err != nil {
		return err
	}
	if alone {
		if err := durable.Sweep(l.writer.Temp); err != nil {
			return err
		}
	}
	return l.lock.RLock()
}

func (l *Layout) blobs() string { return filepath.Join(l.dir, "blobs", "sha256") }

func (l *Layout) path(d pipeline.Digest) string { return filepath.Join(l.blobs(), d.Hex()) }

// Put implements pipeline.Objects; copies is 1.
func (l *Layout) Put(ctx context.Context, blobs []pipeline.Blob) (int, error) {
	if l.lock == nil {
		return 0, fmt.Errorf("object store %s is open for reading only", l.name)
	}
	var files []durable.File
	batch := make(map[pipeline.Digest]bool, len(blobs))
	for _, b := range blobs {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if batch[b.Digest] {
			continue
		}
		batch[b.Digest] = true
		if got := pipeline.DigestOf(b.Data); got != b.Digest {
			return 0, fmt.Errorf("object %s handed over with the content of %s: %w", b.Digest, got, pipeline.ErrCorrupt)
		}
		switch err := l.verify(b.Digest, b.Data); {
		case errors.Is(err, fs.ErrNotExist):
			files = append(files, durable.File{Path: l.path(b.Digest), Data: b.Data, Perm: 0o444})
		case err != nil:
			return 0, err
		}
	}
	if err := l.writer.Write(files...); err != nil {
		return 0, durable.WriteError("cannot write to "+l.name, err, pipeline.Retry, "store")
	}
	if len(files) < len(batch) {
		// Another process may have renamed the others a moment ago.
		if err := durable.SyncDirs(l.blobs()); err != nil {
			return 0, err
		}
	}
	for _, b := range blobs {
		if err := l.verify(b.Digest, b.Data); err != nil {
			return 0, fmt.Errorf("reading back from %s: %w", l.name, err)
		}
	}
	return 1, nil
}

// verify compares the stored object with what it should be.
func (l *Layout) verify(d pipeline.Digest, want []byte) error {
	got, err := os.ReadFile(l.path(d))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s in %s: %w", d, l.name, pipeline.ErrCorrupt)
	}
	return nil
}

// Get implements pipeline.Objects.
func (l *Layout) Get(_ context.Context, d pipeline.Digest) ([]byte, error) {
	b, err := os.ReadFile(l.path(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s in %s: %w", d, l.name, pipeline.ErrNotFound)
	case err != nil:
		return nil, err
	case pipeline.DigestOf(b) != d:
		return nil, fmt.Errorf("%s in %s: %w", d, l.name, pipeline.ErrCorrupt)
	}
	return b, nil
}

// Has implements pipeline.Objects.
func (l *Layout) Has(_ context.Context, d pipeline.Digest) (bool, error) {
	_, err := os.Stat(l.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// List implements pipeline.Objects. Files that are not named like a digest are
// not objects and are left out.
func (l *Layout) List(ctx context.Context, yield func(pipeline.ObjectInfo) bool) error {
	_, err := l.list(ctx, yield)
	return err
}

func (l *Layout) list(ctx context.Context, yield func(pipeline.ObjectInfo) bool) (more bool, err error) {
	entries, err := os.ReadDir(l.blobs())
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		d, err := pipeline.ParseDigest("sha256:" + e.Name())
		if err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return false, err
		}
		if !yield(pipeline.ObjectInfo{Digest: d, Size: info.Size(), Place: l.name}) {
			return false, nil
		}
	}
	return true, nil
}

// Check implements pipeline.Objects.
func (l *Layout) Check(_ context.Context, d pipeline.Digest) ([]pipeline.ObjectCheck, error) {
	c := pipeline.ObjectCheck{ObjectInfo: pipeline.ObjectInfo{Digest: d, Place: l.name}, State: StateOK}
	b, err := os.ReadFile(l.path(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.State = StateMissing
	case err != nil:
		return nil, err
	default:
		c.Size = int64(len(b))
		if found := pipeline.DigestOf(b); found != d {
			c.State, c.Found = StateCorrupt, found
		}
	}
	return []pipeline.ObjectCheck{c}, nil
}

// States of a copy, as in pipeline.ObjectCheck.
const (
	StateOK      = "ok"
	StateMissing = "missing"
	StateCorrupt = "corrupt"
)

// Close implements pipeline.Objects.
func (l *Layout) Close() error {
	if l.lock == nil {
		return nil
	}
	lock := l.lock
	l.lock = nil
	return lock.Close()
}
