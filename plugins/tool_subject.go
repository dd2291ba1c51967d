package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// Names in a kernel's project.
const (
	manifestFile = "kernel.json"
	casesDir     = "cases"
)

// subject is a kernel that a tool looks at: its module and its manifest, which
// is empty if it has none.
type subject struct {
	pipeline.KernelTarget
	file     string // the module
	wasm     []byte
	digest   pipeline.Digest
	manifest *manifest.Manifest
	problems []pipeline.KernelProblem // of the manifest
	limits   Limits
}

// openSubject reads the kernel that a target names.
func openSubject(t pipeline.KernelTarget) (*subject, error) {
	s := &subject{KernelTarget: t, manifest: new(manifest.Manifest), limits: Defaults().Limits}
	if s.Progress == nil {
		s.Progress = io.Discard
	}
	if err := s.limits.set(t.Limits); err != nil {
		return nil, err
	}
	if found := s.limits.problems(); len(found) > 0 {
		return nil, fmt.Errorf("%s: %s", found[0].path, found[0].message)
	}
	var err error
	if s.file, err = moduleFile(t.Path); err != nil {
		return nil, err
	}
	if s.wasm, err = read(s.file); err != nil {
		return nil, err
	}
	s.digest = pipeline.DigestOf(s.wasm)
	switch m, err := manifest.Read(s.wasm); {
	case errors.Is(err, manifest.ErrNotWASM): // the host says it better
	case err != nil:
		s.problems = manifestProblems(err)
	case m != nil:
		s.manifest = m
	}
	return s, nil
}

// moduleFile is the module that a path means: itself, or that of a project's
// folder.
func moduleFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, err
	}
	m, _, err := readManifest(path)
	if err != nil {
		return "", err
	}
	file := filepath.Join(path, m.Name+".wasm")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", pipeline.Fail(codeMissing, "%s is not built: no %s", path, file).WithHint("waybill kernel build %s", path)
	}
	return file, nil
}

// readManifest reads the manifest of a project and its text.
func readManifest(dir string) (*manifest.Manifest, []byte, error) {
	file := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, pipeline.Fail(codeMissing, "%s is no kernel project: it has no %s", dir, manifestFile).
			WithHint("waybill kernel new --lang go DIR writes one")
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := manifest.Parse(raw)
	var found manifest.Error
	if errors.As(err, &found) {
		errs := make([]error, len(found))
		for i, p := range found {
			line, column := manifest.Locate(raw, p)
			errs[i] = pipeline.Fail(p.Code, "%s:%d:%d: %s", file, line, column, p)
		}
		err = errors.Join(errs...)
	}
	return m, raw, err
}

func manifestProblems(err error) []pipeline.KernelProblem {
	var found manifest.Error
	if !errors.As(err, &found) {
		return []pipeline.KernelProblem{{Code: codeManifest, Message: "manifest: " + err.Error()}}
	}
	out := make([]pipeline.KernelProblem, len(found))
	for i, p := range found {
		out[i] = pipeline.KernelProblem{Code: p.Code, Message: "manifest: " + (manifest.Problem{Path: p.Path, Message: p.Message}).String(), Hint: p.Hint}
	}
	return out
}

// options makes what the host takes, for a kernel with this configuration.
func (s *subject) options(ctx context.Context, config []byte) (host.Options, error) {
	c := Defaults()
	c.Use, c.Limits = s.file, s.limits
	if len(config) > 0 {
		if err := json.Unmarshal(config, &c.With); err != nil {
			return host.Options{}, fmt.Errorf("config: %w", err)
		}
	}
	o, _, err := c.options(ctx, place{cache: s.CacheDir}, slog.New(slog.DiscardHandler))
	if err != nil {
		return o, err
	}
	if len(config) > 0 {
		o.Config = config // byte for byte as the sample has it
	}
	return o, nil
}

// report is what Check and Test begin with.
func (s *subject) report() pipeline.KernelReport {
	dialect, found := host.Inspect(s.wasm, uint64(s.limits.Memory))
	r := pipeline.KernelReport{File: s.file, Digest: s.digest, Dialect: string(dialect), Wants: s.wants(),
		Problems: list(s.problems), Cases: []pipeline.KernelCase{}}
	if note := staleNote(s.file); note != "" {
		r.Notes = append(r.Notes, note)
	}
	for _, f := range found {
		r.Problems = append(r.Problems, pipeline.KernelProblem{Code: f.Code, Message: f.Message, Hint: f.Hint})
	}
	return r
}

// wants lists the capabilities that the manifest asks for or the module imports.
func (s *subject) wants() []string {
	out := []string{}
	parsed, err := module.Parse(s.wasm)
	if err != nil {
		return out
	}
	for _, name := range capability.Names() {
		if wanted(name, s.manifest, parsed) != "" {
			out = append(out, name)
		}
	}
	return out
}

// list is never nil, so that JSON has a list.
func list[T any](l []T) []T { return append([]T{}, l...) }
