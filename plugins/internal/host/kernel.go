package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/compiler"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/module"
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
	// Extism is for Extism plug-ins.
	Extism Extism
	// State says what of an instance outlives a call; Reuse is the kernel's
	// promise that nothing of it can be noticed, which saves putting the
	// instance back.
	State State
	Reuse bool
	// Ports is how many ports the kernel has; 0 means one.
	Ports int
	// Warmup is run before the image is taken, so that what a language runtime
	// does once is done; nil if there is none.
	Warmup *k1.Record
	// Grants are what the module may reach beyond its input; nothing by
	// default. The kernel closes them.
	Grants capability.Set
	// CacheDir holds compiled modules; empty means compile each time.
	CacheDir string
	// Compile bounds the compiler where it runs in a child process; zero means
	// compiler.DefaultLimits.
	Compile compiler.Limits
	Log     *slog.Logger
	// Interpreter runs the module in the interpreter, to compare it with the
	// compiler: about 50 times slower.
	Interpreter bool
}

// State is what of an instance outlives a call.
type State string

// Classes of state; see the kernel ABI. The empty one is Pure.
const (
	// Pure kernels begin each call in the same state.
	Pure State = "pure"
	// Lane kernels keep their memory from call to call, an instance for each
	// lane; a call that fails leaves no trace in it.
	Lane State = "lane"
	// Isolated kernels begin each record in the same state.
	Isolated State = "isolated"
)

// Kernel is a compiled module. Its methods may be called at the same time.
type Kernel struct {
	Options
	Dialect module.Dialect

	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule
	plugin   *extism.CompiledPlugin // of an Extism plug-in, instead of runtime and compiled
	globals  []meter.Global
	fixed    string // why instances cannot be put back; empty if they can

	starting sync.Mutex
	image    *image // nil until the first instance has started

	mu       sync.Mutex
	counters map[uint32]int64
	idle     idle[*session] // of WASI commands
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
	k := &Kernel{Options: o, Dialect: dialect, counters: make(map[uint32]int64),
		globals: metered.Globals, fixed: unrestorable(metered)}
	if k.fixed != "" && o.State == Lane {
		return nil, errors.Join(k.cannotKeepState(), k.Close(ctx))
	}
	k.WASM = nil // the metered module is all that is needed
	if err := k.compile(ctx, metered.WASM); err != nil {
		return nil, errors.Join(err, k.Close(ctx))
	}
	return k, nil
}

// KeepsState tells that calls of one lane depend on each other.
func (k *Kernel) KeepsState() bool { return k.State == Lane || k.Grants.State != nil }

// cannotKeepState refuses a kernel of class Lane whose failed calls could not be
// undone.
func (k *Kernel) cannotKeepState() error {
	return &Failure{Code: CodeBad, Kernel: k.Name, Digest: k.Digest,
		Cause: "its state cannot be kept for a lane, because " + k.fixed + " and a failed call could not be undone"}
}

// Close frees everything; all instances must be closed or idle.
func (k *Kernel) Close(ctx context.Context) error {
	var errs []error
	for s, ok := k.idle.take(); ok; s, ok = k.idle.take() {
		s.close()
	}
	k.Grants.Close()
	if k.image != nil {
		k.image.pages.close()
	}
	if k.plugin != nil {
		errs = append(errs, k.plugin.Close(ctx))
	}
	if k.runtime != nil {
		errs = append(errs, k.runtime.Close(ctx))
	}
	if k.cache != nil {
		errs = append(errs, k.cache.Close(ctx))
	}
	return errors.Join(errs...)
}

// Counters returns what the kernel counted in calls that went well.
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
