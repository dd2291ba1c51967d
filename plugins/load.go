package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/samples"
)

// load reads and compiles the module that a configuration names. All problems
// are told at once.
func load(ctx context.Context, c Config, at place, log *slog.Logger) (*host.Kernel, *manifest.Manifest, error) {
	if err := refused(c.problems(ctx, at)); err != nil {
		return nil, nil, err
	}
	o, m, err := c.options(ctx, at, log)
	if err != nil {
		return nil, nil, err
	}
	if o.Grants, err = c.grants(at.dir); err != nil {
		return nil, nil, err
	}
	o.Reuse = c.Reuse
	k, err := host.New(ctx, o)
	if err != nil {
		o.Grants.Close()
	}
	return k, m, classify(err)
}

// refused makes one error of all problems, nil if there is none.
func refused(found []problem) error {
	errs := make([]error, len(found))
	for i, p := range found {
		errs[i] = (&pipeline.Error{Kind: pipeline.Permanent, Code: p.code, Err: fmt.Errorf("%s: %s", p.path, p.message)}).WithHint("%s", p.hint)
	}
	return errors.Join(errs...)
}

// options reads the module and makes of the configuration, and of what the
// module's manifest declares, what the host takes. The manifest is never nil.
// Nothing is granted.
func (c Config) options(ctx context.Context, at place, log *slog.Logger) (o host.Options, m *manifest.Manifest, err error) {
	wasm, err := at.module(ctx, c.Use)
	if err != nil {
		return o, nil, err
	}
	o = host.Options{Name: c.name(), Digest: pipeline.DigestOf(wasm), WASM: wasm, Limits: c.Limits.limits(), Log: log}
	if at.cache != "" {
		o.CacheDir = filepath.Join(at.cache, cacheFolder)
	}
	if o.Config, err = c.json(); err != nil {
		return o, nil, fmt.Errorf("with: %w", err)
	}
	if err := c.forDialect(&o); err != nil {
		return o, nil, err
	}
	m, err = manifest.Read(wasm)
	if m == nil {
		m = new(manifest.Manifest)
	}
	declare(&o, m)
	return o, m, err
}

// forDialect hands on `with` to a module that does not read it as JSON.
func (c Config) forDialect(o *host.Options) error {
	parsed, err := module.Parse(o.WASM)
	if err != nil {
		return nil // the host says what is wrong
	}
	switch parsed.Dialect() {
	case module.Command:
		o.Args, o.Env, err = c.command()
	case module.Extism:
		o.Extism, err = c.extism()
	}
	return err
}

// declare hands on what the kernel says of itself.
func declare(o *host.Options, m *manifest.Manifest) {
	o.State, o.Reuse, o.Ports = host.State(m.State), m.Reuse, len(m.Ports)
	for i := range m.Samples {
		if s := &m.Samples[i]; m.Warmup != "" && s.Name == m.Warmup {
			r := samples.Record(s)
			o.Warmup = &r
		}
	}
}
