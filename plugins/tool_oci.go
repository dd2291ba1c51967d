package plugins

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/oci"
)

// Push publishes a module, or that of a project, and keeps a copy.
func (Tools) Push(ctx context.Context, r pipeline.KernelTransfer) (pipeline.KernelArtifact, error) {
	ref, err := oci.Parse(r.Ref)
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	s, err := openSubject(pipeline.KernelTarget{Path: r.File})
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	if err := s.sound(); err != nil {
		return pipeline.KernelArtifact{}, err
	}
	client, err := oci.NewClient(r.Progress)
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	defer client.Close()
	m := s.manifest
	a, raw, err := client.Push(ctx, ref, oci.Module{WASM: s.wasm, Name: m.Name, Version: m.Version, Description: m.Description})
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	return described(r.Ref, ref, s.file, a), keep(place{cache: r.CacheDir}.store(), raw, s.wasm)
}

// sound refuses to publish what could not run anywhere.
func (s *subject) sound() error {
	for _, p := range s.report().Problems {
		return pipeline.Fail(p.Code, "%s: %s", s.file, p.Message).WithHint("%s", p.Hint)
	}
	return nil
}

// Pull fetches a module, keeps it, and writes it to a file if one is given.
func (Tools) Pull(ctx context.Context, r pipeline.KernelTransfer) (pipeline.KernelArtifact, error) {
	ref, err := oci.Parse(r.Ref)
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	f := &fetcher{store: place{cache: r.CacheDir}.store(), progress: r.Progress}
	defer f.close()
	a, wasm, err := f.newest(ctx, ref)
	if err != nil {
		return pipeline.KernelArtifact{}, err
	}
	if r.File != "" {
		if err := replaceFile(r.File, wasm); err != nil {
			return pipeline.KernelArtifact{}, err
		}
	}
	return described(r.Ref, ref, r.File, a), nil
}

// Lock pins the tags of a pipeline file.
func (Tools) Lock(ctx context.Context, r pipeline.KernelLock) (pipeline.KernelLocked, error) {
	uses, err := tags(r.File, r.Set)
	if err != nil {
		return pipeline.KernelLocked{}, err
	}
	dir := filepath.Dir(r.File)
	lock, err := oci.ReadLock(dir)
	if err != nil {
		return pipeline.KernelLocked{}, err
	}
	f := &fetcher{store: place{cache: r.CacheDir}.store(), progress: r.Progress}
	defer f.close()
	out := pipeline.KernelLocked{File: filepath.Join(dir, oci.LockFile), Pins: []pipeline.KernelPin{}}
	for _, use := range uses {
		pin, err := f.lock(ctx, lock, use, r.Update)
		if err != nil {
			return out, err
		}
		out.Pins = append(out.Pins, pin)
	}
	if !slices.ContainsFunc(out.Pins, func(p pipeline.KernelPin) bool { return p.Change != pipeline.PinKept }) {
		return out, nil
	}
	_, err = lock.Write(dir)
	return out, err
}

// lock pins one reference, and fetches what it stands for.
func (f *fetcher) lock(ctx context.Context, lock oci.Lock, use string, update bool) (pipeline.KernelPin, error) {
	ref, err := oci.Parse(use)
	if err != nil {
		return pipeline.KernelPin{}, err
	}
	old, known := lock[use]
	if known && !update {
		_, err := f.locked(ctx, ref, old)
		return pinned(use, old, pipeline.PinKept), err
	}
	a, _, err := f.newest(ctx, ref)
	if err != nil {
		return pipeline.KernelPin{}, err
	}
	pin := oci.Pin{Manifest: a.Manifest, Digest: a.Digest, Size: a.Size}
	lock[use] = pin
	switch {
	case !known:
		return pinned(use, pin, pipeline.PinNew), nil
	case pin == old:
		return pinned(use, pin, pipeline.PinKept), nil
	}
	p := pinned(use, pin, pipeline.PinMoved)
	p.Was = old.Digest
	return p, nil
}

func pinned(use string, p oci.Pin, change string) pipeline.KernelPin {
	return pipeline.KernelPin{Use: use, Manifest: p.Manifest, Digest: p.Digest, Size: p.Size, Change: change}
}

// newest returns what a reference stands for at this moment; only the commands
// that a person gives may ask that of a tag.
func (f *fetcher) newest(ctx context.Context, ref oci.Reference) (oci.Artifact, []byte, error) {
	if ref.Pinned() != "" {
		return f.pinned(ctx, ref)
	}
	a, err := f.resolve(ctx, ref)
	if err != nil {
		return a, nil, err
	}
	return f.pinned(ctx, ref.At(a.Manifest))
}

// unchecked is the configuration of a kernel that need not be there yet.
type unchecked Config

// tags lists the references of a pipeline file's kernels that a lock file has to
// pin, sorted, each once. All else in the file must be in order.
func tags(file string, set *pipeline.Set) ([]string, error) {
	def := pipeline.Define("kernel", "", unchecked(Defaults()), func(ctx context.Context, c unchecked, env pipeline.Env) (pipeline.Stage, error) {
		return New(ctx, Config(c), env)
	})
	plan, problems := pipeline.LoadFile(file, set.With(def))
	if len(problems) > 0 {
		return nil, problems
	}
	var out []string
	for _, s := range plan.Stages {
		c, ok := s.Config.(unchecked)
		if scheme, _, _ := pipeline.SplitURL(c.Use); !ok || scheme != "oci" {
			continue
		}
		ref, err := oci.Parse(c.Use)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Pos, err)
		}
		if ref.Pinned() == "" {
			out = append(out, c.Use)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func described(text string, ref oci.Reference, file string, a oci.Artifact) pipeline.KernelArtifact {
	return pipeline.KernelArtifact{Ref: text, Pinned: ref.At(a.Manifest).String(), Manifest: a.Manifest, Digest: a.Digest, Size: a.Size,
		Name: a.Title, Version: a.Version, File: file}
}

// keep puts blobs into a store.
func keep(s oci.Store, blobs ...[]byte) error {
	for _, b := range blobs {
		if err := s.Put(b); err != nil {
			return err
		}
	}
	return nil
}
