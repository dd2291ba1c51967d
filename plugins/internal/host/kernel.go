package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// Limits bound one instance. All but Fuel are positive.
type Limits struct {
	// Memory is the largest linear memory in bytes.
	Memory uint64
	// Timeout is the wall time of one call.
	Timeout time.Duration
	// Fuel is the metered work of one call; 0 leaves it to Timeout.
	Fuel int64
	// Output is the largest answer of one call in bytes.
	Output uint64
	// Log is how many bytes of log messages one call may write.
	Log int
}

// initTime is the least time that starting an instance gets: a language runtime
// needs a few milliseconds, whatever the limit of a call.
const initTime = 10 * time.Second

// Options say what to run and how.
type Options struct {
	// Name is for messages; Digest is the module's.
	Name   string
	Digest pipeline.Digest
	WASM   []byte
	Limits Limits
	// Config is handed to k1_init: JSON, "{}" if there is none.
	Config []byte
	// Args and Env are for WASI commands.
	Args, Env []string
	// CacheDir holds compiled modules; empty means compile each time.
	CacheDir string
	Log      *slog.Logger
}

// Kernel is a compiled module. Its methods may be called at the same time.
type Kernel struct {
	Options
	Dialect module.Dialect

	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule

	mu       sync.Mutex
	counters map[uint32]int64
}

// New checks and compiles a module; a *Failure says everything that is wrong
// with it. The caller closes the kernel.
//
// What is compiled, and what the cache keeps, is the metered module (package
// meter); the digest stays that of the file.
func New(ctx context.Context, o Options) (*Kernel, error) {
	dialect, metered, found := inspect(o.WASM, o.Limits.Memory)
	if len(found) > 0 {
		return nil, join(o, found)
	}
	cache, err := openCache(o.CacheDir)
	if err != nil {
		return nil, err
	}
	k := &Kernel{Options: o, Dialect: dialect, cache: cache, counters: make(map[uint32]int64)}
	k.WASM = nil // the metered module is all that is needed
	if err := k.compile(ctx, metered.WASM); err != nil {
		return nil, errors.Join(err, k.Close(ctx))
	}
	return k, nil
}

func (k *Kernel) compile(ctx context.Context, wasm []byte) error {
	cfg := wazero.NewRuntimeConfig()
	if k.cache != nil {
		cfg = cfg.WithCompilationCache(k.cache)
	}
	k.runtime = wazero.NewRuntimeWithConfig(ctx, cfg)
	if err := wasi.Instantiate(ctx, k.runtime); err != nil {
		return fmt.Errorf("kernel host: %w", err)
	}
	if err := instantiateImports(ctx, k.runtime); err != nil {
		return fmt.Errorf("kernel host: %w", err)
	}
	if err := instantiateMeter(ctx, k.runtime); err != nil {
		return fmt.Errorf("kernel host: %w", err)
	}
	compiled, err := compileModule(ctx, k.runtime, wasm)
	if err != nil {
		return &Failure{Code: CodeBad, Kernel: k.Name, Digest: k.Digest, Cause: "does not compile: " + err.Error(), Err: err}
	}
	k.compiled = compiled
	return nil
}

// compileModule keeps a module that makes the compiler panic from taking the
// process along.
func compileModule(ctx context.Context, r wazero.Runtime, wasm []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the compiler panicked: %v", p)
		}
	}()
	return r.CompileModule(ctx, wasm)
}

// Close frees everything; all instances must be closed or idle.
func (k *Kernel) Close(ctx context.Context) error {
	var errs []error
	if k.runtime != nil {
		errs = append(errs, k.runtime.Close(ctx))
	}
	if k.cache != nil {
		errs = append(errs, k.cache.Close(ctx))
	}
	return errors.Join(errs...)
}

// Counters returns what the kernel counted in closed instances.
func (k *Kernel) Counters() map[uint32]int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	sum := make(map[uint32]int64, len(k.counters))
	for id, n := range k.counters {
		sum[id] = n
	}
	return sum
}

func (k *Kernel) count(counters map[uint32]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, n := range counters {
		k.counters[id] += n
	}
}
