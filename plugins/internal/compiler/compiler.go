package compiler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/pipeline"
)

// Limits bound the compiling of one module in a child process.
type Limits struct {
	// Time is the wall time; the child may use twice as much CPU time, as the
	// garbage collector works beside the compiler.
	Time time.Duration
	// Memory is how many bytes the child may use beyond what every process of
	// this program starts with.
	Memory uint64
}

// DefaultLimits are about ten times what the largest real modules take.
func DefaultLimits() Limits { return Limits{Time: 60 * time.Second, Memory: 1 << 30} }

// String renders the limits for messages.
func (l Limits) String() string {
	return fmt.Sprintf("%s and %s of memory", l.Time, pipeline.Bytes(l.Memory))
}

// Job is one module to be compiled.
type Job struct {
	// WASM is the metered module.
	WASM []byte
	// Dir is the store; empty means that nothing is kept.
	Dir string
	// Scratch is for a runtime that compiles other modules, too: it loads from a
	// copy, and the store keeps what is its own.
	Scratch bool
	Limits  Limits
	Log     *slog.Logger
}

// Code is a compiled module, ready to be loaded.
type Code struct {
	// Cache has the machine code; nil means that the runtime has to compile. The
	// caller closes it, after the runtime.
	Cache wazero.CompilationCache
	draft string
}

// Discard removes what was made for one load only. It is called after loading.
func (c *Code) Discard() error {
	if c.draft == "" {
		return nil
	}
	return os.RemoveAll(c.draft)
}

// A Refusal is what is wrong with a module that does not compile. Other errors
// are not the module's: the end of ctx, a folder that cannot be written to.
type Refusal struct{ Cause string }

// Error returns the cause.
func (r *Refusal) Error() string { return r.Cause }

// Config is how every runtime of kernels is configured; the child's and the
// parent's must be the same, or the parent does not find the child's code.
func Config() wazero.RuntimeConfig { return wazero.NewRuntimeConfig() }

// Prepare compiles a module, unless the store has it: in a child process if
// Child was called in this one, else here.
func Prepare(ctx context.Context, j Job) (*Code, error) {
	if j.Dir == "" {
		return prepareOnce(ctx, j)
	}
	s, err := openStore(j.Dir, j.Log)
	if err != nil {
		return nil, err
	}
	id := identify(j.WASM)
	folder, err := s.find(id)
	if err == nil && folder == "" {
		folder, err = compileFor(ctx, s, j, id)
	}
	if err != nil {
		return nil, err
	}
	if j.Scratch {
		return scratch(folder)
	}
	cache, err := wazero.NewCompilationCacheWithDir(folder)
	return &Code{Cache: cache}, err
}

// prepareOnce compiles into a private folder that ends with the load.
func prepareOnce(ctx context.Context, j Job) (*Code, error) {
	if !canFork.Load() {
		return &Code{}, nil
	}
	draft, err := os.MkdirTemp("", "waybill-compile-")
	if err != nil {
		return nil, err
	}
	if err := compileApart(ctx, j, draft); err != nil {
		return nil, errors.Join(err, os.RemoveAll(draft))
	}
	cache, err := wazero.NewCompilationCacheWithDir(draft)
	return &Code{Cache: cache, draft: draft}, err
}

// compileFor compiles a module for the store.
func compileFor(ctx context.Context, s store, j Job, id string) (string, error) {
	draft, err := s.draft()
	if err != nil {
		return "", fmt.Errorf("kernel cache: %w", err)
	}
	if canFork.Load() {
		err = compileApart(ctx, j, draft)
	} else {
		err = compileHere(ctx, j.WASM, draft)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(draft))
	}
	folder, err := s.keep(draft, id)
	if err != nil {
		return "", errors.Join(fmt.Errorf("kernel cache: %w", err), os.RemoveAll(draft))
	}
	return folder, nil
}

// compileHere compiles a module into a folder, in this process.
func compileHere(ctx context.Context, wasm []byte, folder string) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(folder)
	if err != nil {
		return err
	}
	r := wazero.NewRuntimeWithConfig(ctx, Config().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx), closeCache(ctx, cache)) }()
	_, err = Compile(ctx, r, wasm)
	var path *fs.PathError
	if err != nil && !errors.As(err, &path) {
		return &Refusal{"does not compile: " + err.Error()}
	}
	return err
}

func closeCache(ctx context.Context, c wazero.CompilationCache) error { return c.Close(ctx) }

// Compile keeps a module that makes the compiler panic from taking the process
// along.
func Compile(ctx context.Context, r wazero.Runtime, wasm []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the compiler panicked: %v", p)
		}
	}()
	return r.CompileModule(ctx, wasm)
}

var _ io.Writer = (*head)(nil)

// head keeps the first bytes that are written to it.
type head struct {
	text []byte
	size int
}

// Write takes everything and keeps what there is room for.
func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.size-len(h.text))]...)
	return len(p), nil
}
