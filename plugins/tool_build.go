package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/toolchain"
)

// Codes of builds.
const (
	codeToolchain = "kernel-toolchain" // it is missing
	codeBuild     = "kernel-build"     // the compiler refused the source
)

// Build compiles a project, attaches its manifest and writes the module, if it
// can run here.
func (Tools) Build(ctx context.Context, r pipeline.KernelBuild) (built pipeline.KernelModule, err error) {
	m, raw, err := readManifest(r.Dir)
	if err != nil {
		return built, err
	}
	b, err := builder(r.Dir)
	if err != nil {
		return built, err
	}
	out := r.Out
	if out == "" {
		out = filepath.Join(r.Dir, m.Name+".wasm")
	}
	wasm, err := compile(ctx, b, r.Dir, r.Log)
	if err != nil {
		return built, err
	}
	if wasm, err = manifest.Attach(wasm, raw); err != nil {
		return built, fmt.Errorf("%s: %w", manifestFile, err)
	}
	if err := runnable(out, wasm); err != nil {
		return built, err
	}
	if err := replaceFile(out, wasm); err != nil {
		return built, err
	}
	return pipeline.KernelModule{File: out, Lang: b.Lang, Name: m.Name, Version: m.Version, Size: int64(len(wasm)), Digest: pipeline.DigestOf(wasm)}, nil
}

// builder finds the language of a project.
func builder(dir string) (toolchain.Builder, error) {
	var names []string
	for _, b := range toolchain.All() {
		if !b.Detect(dir) {
			names = append(names, b.Lang)
			continue
		}
		return b, nil
	}
	return toolchain.Builder{}, pipeline.Fail(codeBuild, "%s is a project in none of the languages %s", dir, strings.Join(names, ", ")).
		WithHint("waybill kernel new writes one to begin with")
}

// compile runs the toolchain and returns the module.
func compile(ctx context.Context, b toolchain.Builder, dir string, log io.Writer) (wasm []byte, err error) {
	temp, err := os.MkdirTemp("", "waybill-build-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if log == nil {
		log = io.Discard
	}
	out := filepath.Join(temp, "kernel.wasm")
	if err := b.Build(ctx, dir, out, log); err != nil {
		var missing *toolchain.Missing
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &missing):
			return nil, pipeline.Fail(codeToolchain, "%w", err)
		}
		return nil, pipeline.Fail(codeBuild, "%s does not compile: %w", dir, err)
	}
	return read(out)
}

// runnable refuses a module that could not run with the default limits.
func runnable(file string, wasm []byte) error {
	_, found := host.Inspect(wasm, uint64(Defaults().Limits.Memory))
	errs := make([]error, len(found))
	for i, f := range found {
		errs[i] = pipeline.Fail(f.Code, "%s was built but cannot run: %s", file, f.Error())
	}
	return errors.Join(errs...)
}

// replaceFile writes a file so that nobody ever sees half of it.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
