package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// MediaWASM is the media type of a module in receipts (IANA).
const MediaWASM = "application/wasm"

// Failure is a failed call of a kernel; errors.As finds it in the errors of the
// stage and of Run.
type Failure = host.Failure

// Def returns the definition of the stage "kernel".
func Def() pipeline.Def {
	return pipeline.Define("kernel", "runs a WebAssembly kernel, sandboxed, over the item", Defaults(), New)
}

var (
	_ pipeline.Validator = Config{}
	_ pipeline.Stage     = (*stage)(nil)
	_ pipeline.Starter   = (*stage)(nil)
	_ pipeline.Closer    = (*stage)(nil)
	_ pipeline.Batcher   = batcher{}
)

// New makes the stage; the module is read and compiled by Start.
func New(_ context.Context, c Config, env pipeline.Env) (pipeline.Stage, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if c.Input == "" {
		c.Input = inputBody
	}
	s := &stage{config: c, env: env}
	if c.Batch > 1 {
		return batcher{s}, nil
	}
	return s, nil
}

// stage runs one item per call.
type stage struct {
	config     Config
	env        pipeline.Env
	kernel     *host.Kernel
	pool       *host.Pool // nil for a WASI command
	dependency pipeline.Dependency
}

// Start loads and compiles the module and makes the first instance.
func (s *stage) Start(ctx context.Context) error {
	k, err := load(ctx, s.config, s.env.Dir, s.env.CacheDir, s.env.Log)
	if err != nil {
		return err
	}
	s.kernel = k
	s.dependency = pipeline.Dependency{Name: k.Name, URI: s.config.Use, MediaType: MediaWASM, Digest: k.Digest,
		Annotations: map[string]string{"dialect": string(k.Dialect), "config": string(pipeline.DigestOf(k.Config))}}
	if k.Dialect == module.Command {
		return nil
	}
	s.pool = host.NewPool(k, s.env.Concurrency)
	if err := s.pool.Warm(ctx); err != nil {
		return classify(err)
	}
	return nil
}

// load reads and compiles the module that a configuration names. All problems
// are told at once.
func load(ctx context.Context, c Config, dir, cacheDir string, log *slog.Logger) (*host.Kernel, error) {
	var errs []error
	for _, p := range c.problems(dir) {
		errs = append(errs, (&pipeline.Error{Kind: pipeline.Permanent, Code: p.code, Err: fmt.Errorf("%s: %s", p.path, p.message)}).WithHint("%s", p.hint))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	path, err := c.path(dir)
	if err != nil {
		return nil, err
	}
	wasm, err := read(path)
	if err != nil {
		return nil, err
	}
	o := host.Options{Name: c.name(), Digest: pipeline.DigestOf(wasm), WASM: wasm, Limits: c.Limits.limits(), Log: log}
	if cacheDir != "" {
		o.CacheDir = filepath.Join(cacheDir, "kernels")
	}
	if o.Config, err = c.json(); err != nil {
		return nil, fmt.Errorf("with: %w", err)
	}
	if m, err := module.Parse(wasm); err == nil && m.Dialect() == module.Command {
		if o.Args, o.Env, err = c.command(); err != nil {
			return nil, err
		}
	}
	k, err := host.New(ctx, o)
	return k, classify(err)
}

// Process runs the kernel over one item.
func (s *stage) Process(ctx context.Context, it *pipeline.Item) error {
	in, err := s.input(it)
	if err != nil {
		return err
	}
	if s.pool == nil {
		out, err := s.kernel.RunCommand(ctx, in.Value, in.Time, in.Seed, it.Budget)
		if err != nil {
			return s.failed(it, err)
		}
		return s.finish(it, []k1.Op{{Code: k1.Put, Value: out.Output}})
	}
	ops, err := s.pool.Run(ctx, []k1.Record{in}, it.Budget)
	if err != nil {
		return s.failed(it, err)
	}
	return s.finish(it, ops)
}

// Close frees all instances and the compiled module.
func (s *stage) Close() error {
	if s.pool != nil {
		s.pool.Close()
	}
	if s.kernel == nil {
		return nil
	}
	if c := s.kernel.Counters(); len(c) > 0 {
		s.env.Log.Info("kernel counters", "kernel", s.kernel.Name, "counters", c)
	}
	return s.kernel.Close(context.Background())
}

// batcher gives the kernel several items per call.
type batcher struct{ *stage }

// linger is how long an item waits for company: about what a call costs more
// than its share of a batch.
const linger = 200 * time.Microsecond

// Batching returns the configured batch.
func (b batcher) Batching() (int, time.Duration) { return b.config.Batch, linger }

// ProcessBatch runs the kernel over all items in one call; an item that makes
// it fail is found and fails alone.
func (b batcher) ProcessBatch(ctx context.Context, items []*pipeline.Item) []error {
	errs := make([]error, len(items))
	records := make([]k1.Record, 0, len(items))
	payers := make([]*pipeline.Budget, 0, len(items))
	at := make([]int, 0, len(items))
	for i, it := range items {
		r, err := b.input(it)
		if err != nil {
			errs[i] = err
			continue
		}
		records, payers, at = append(records, r), append(payers, it.Budget), append(at, i)
	}
	for n, o := range b.pool.RunAll(ctx, records, payers...) {
		if i := at[n]; o.Err != nil {
			errs[i] = b.failed(items[i], o.Err)
		} else {
			errs[i] = b.finish(items[i], o.Ops)
		}
	}
	return errs
}
