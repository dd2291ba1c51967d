package plugins

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/oci"
)

// codeUnlocked: a tag that no lock file pins.
const codeUnlocked = "kernel-unlocked"

// place is where a configuration stands: what `use` is relative to, and where
// modules are kept.
type place struct {
	// file is the pipeline file, for hints; "" if there is none.
	file string
	// dir is its folder, with the lock file.
	dir string
	// cache is Env.CacheDir; "" keeps nothing.
	cache string
}

// cacheFolder is our part of Env.CacheDir: compiled code, and modules by digest.
const cacheFolder = "kernels"

// fetchTime bounds what `check` waits for a registry.
const fetchTime = 2 * time.Minute

// store is where modules and manifests from registries are kept.
func (p place) store() oci.Store {
	if p.cache == "" {
		return oci.Store{}
	}
	return oci.Store{Dir: filepath.Join(p.cache, cacheFolder)}
}

// module returns the bytes that `use` names. A file is read as it is; anything
// else has the digest that the pipeline file, or the lock file beside it, says.
// A registry is asked only for what is not stored here, and only by digest.
// Errors have codes.
func (p place) module(ctx context.Context, use string) ([]byte, error) {
	scheme, rest, ok := pipeline.SplitURL(use)
	switch {
	case use == "":
		return nil, pipeline.Fail("unsupported", "no kernel given")
	case !ok:
		return p.local(use)
	case scheme == "file":
		return p.local(rest)
	case scheme == "sha256":
		return p.stored(use)
	case scheme == "oci":
		return p.artifact(ctx, use)
	}
	return nil, pipeline.Fail("unsupported", "%s: unknown scheme %q, want a file, oci: or sha256:", use, scheme)
}

func (p place) local(path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.dir, path)
	}
	wasm, err := read(path)
	var coded *pipeline.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, pipeline.Fail(codeMissing, "no kernel at %s", path).
			WithHint("build the kernel first, or correct the path, which is relative to the pipeline file")
	case errors.As(err, &coded):
		return nil, err
	case err != nil:
		return nil, pipeline.Fail(codeMissing, "%w", err)
	}
	return wasm, nil
}

// stored returns a module of the store by its digest.
func (p place) stored(use string) ([]byte, error) {
	digest, err := pipeline.ParseDigest(use)
	if err != nil {
		return nil, pipeline.Fail(oci.CodeReference, "%w", err)
	}
	wasm, err := p.store().Get(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, pipeline.Fail(codeMissing, "no kernel with the digest %s is stored here", digest).
			WithHint("waybill kernel pull oci://... stores it; a digest alone does not say where to fetch it from")
	}
	return wasm, err
}

// artifact returns the module of an artifact.
func (p place) artifact(ctx context.Context, use string) ([]byte, error) {
	ref, err := oci.Parse(use)
	if err != nil {
		return nil, err
	}
	f := &fetcher{store: p.store()}
	defer f.close()
	if ref.Pinned() != "" {
		_, wasm, err := f.pinned(ctx, ref)
		return wasm, err
	}
	lock, err := oci.ReadLock(p.dir)
	if err != nil {
		return nil, err
	}
	pin, ok := lock[use]
	if !ok {
		return nil, p.unlocked(use)
	}
	return f.locked(ctx, ref, pin)
}

func (p place) unlocked(use string) error {
	err := pipeline.Fail(codeUnlocked, "%s is a tag, which may mean something else tomorrow, and %s does not pin it", use, oci.LockFile)
	if p.file == "" {
		return err.WithHint("name its digest: waybill kernel pull %s prints it", use)
	}
	return err.WithHint("run: waybill kernel lock %s", p.file)
}

// fetcher gets artifacts from the store, and what is not there from registries.
type fetcher struct {
	store    oci.Store
	progress io.Writer   // nil: nobody is told
	client   *oci.Client // made for the first request
}

func (f *fetcher) close() {
	if f.client != nil {
		f.client.Close()
	}
}

func (f *fetcher) registry() (c *oci.Client, err error) {
	if f.client == nil {
		f.client, err = oci.NewClient(f.progress)
	}
	return f.client, err
}

// locked returns the module that a lock file pins.
func (f *fetcher) locked(ctx context.Context, ref oci.Reference, pin oci.Pin) ([]byte, error) {
	if wasm, err := f.store.Get(pin.Digest); err == nil {
		return wasm, nil
	}
	a, wasm, err := f.pinned(ctx, ref.At(pin.Manifest))
	if err == nil && a.Digest != pin.Digest {
		return nil, pipeline.Fail(oci.CodeDigest, "%s pins the module %s of %s, but that manifest is of %s", oci.LockFile, pin.Digest, ref.At(pin.Manifest), a.Digest).
			WithHint("take the lock file from version control, or lock again")
	}
	return wasm, err
}

// pinned returns the artifact that a reference with a digest names. What is
// damaged in the store is fetched anew.
func (f *fetcher) pinned(ctx context.Context, ref oci.Reference) (a oci.Artifact, wasm []byte, err error) {
	if raw, missing := f.store.Get(ref.Pinned()); missing == nil {
		a, err = oci.ParseManifest(raw)
	} else {
		a, err = f.resolve(ctx, ref)
	}
	if err != nil {
		return a, nil, err
	}
	if wasm, err = f.store.Get(a.Digest); err == nil {
		return a, wasm, nil
	}
	wasm, err = f.fetch(ctx, ref, a)
	return a, wasm, err
}

// resolve asks the registry for a manifest and keeps it.
func (f *fetcher) resolve(ctx context.Context, ref oci.Reference) (oci.Artifact, error) {
	client, err := f.registry()
	if err != nil {
		return oci.Artifact{}, err
	}
	a, raw, err := client.Resolve(ctx, ref)
	if err != nil {
		return a, err
	}
	return a, f.store.Put(raw)
}

// fetch asks the registry for a module and keeps it.
func (f *fetcher) fetch(ctx context.Context, ref oci.Reference, a oci.Artifact) ([]byte, error) {
	client, err := f.registry()
	if err != nil {
		return nil, err
	}
	wasm, err := client.Fetch(ctx, ref, a)
	if err != nil {
		return nil, err
	}
	return wasm, f.store.Put(wasm)
}
