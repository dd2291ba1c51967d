package pipeline

import (
	"context"
	"encoding/json"
	"io"
	"time"
)

// KernelTools is what the command line does with WASM kernels. An error is for
// a request that cannot be carried out (no such file, no toolchain, a bad
// limit); what was found wrong with a kernel stands in the results.
type KernelTools interface {
	// Run runs a kernel over one record.
	Run(ctx context.Context, r KernelRun) (KernelResult, error)
	// Languages lists what New can write and Build can compile.
	Languages() []string
	// New writes a project of that language into dir, which must not exist or
	// be empty, and returns its files, relative to dir.
	New(lang, dir string) ([]string, error)
	// Build compiles a project and attaches its manifest. A project that does
	// not compile, or a module that cannot run here, is an error.
	Build(ctx context.Context, r KernelBuild) (KernelModule, error)
	// Inspect says what a module is made of; nothing runs.
	Inspect(path string) (KernelInfo, error)
	// Check looks for everything that would keep a kernel from running and
	// runs the samples of its manifest in several ways that must agree.
	Check(ctx context.Context, r KernelTarget) (KernelReport, error)
	// Test runs the golden cases beside a kernel.
	Test(ctx context.Context, r KernelTest) (KernelReport, error)
	// Bench measures what a record costs.
	Bench(ctx context.Context, r KernelBench) (KernelCost, error)
	// Push publishes a module in a registry, under a tag.
	Push(ctx context.Context, r KernelTransfer) (KernelArtifact, error)
	// Pull fetches a module from a registry into the cache, where its digest
	// names it, and into a file.
	Pull(ctx context.Context, r KernelTransfer) (KernelArtifact, error)
	// Lock pins the tags that a pipeline file names in the lock file beside it.
	// A file with problems is Problems.
	Lock(ctx context.Context, r KernelLock) (KernelLocked, error)
}

// KernelRun is one run of a kernel from the command line.
type KernelRun struct {
	// Use is a file or digest, as in the pipeline file.
	Use string
	// Config is the kernel's `with` as JSON; nil is {}.
	Config []byte
	// Key, Input and Meta are the record.
	Key      string
	Input    []byte
	Meta     map[string]string
	Limits   map[string]string // as in the pipeline file: memory, timeout, ...
	CacheDir string
	Stderr   io.Writer
	// Replay runs a record that failed once more on the module as its compiler
	// wrote it, which has file and line of each function on the stack.
	Replay bool
}

// KernelResult is what came of it.
type KernelResult struct {
	// Outcome is ok (it answered, though perhaps with no byte), dropped (it had no
	// answer), skipped (it said why the record ends here) or error. Only the last
	// is a failure.
	Outcome string `json:"outcome"`
	// Output is the answers' bytes, joined by line feeds.
	Output []byte `json:"-"`
	// Answers are the operations of a k1 kernel, in order.
	Answers []KernelAnswer `json:"answers,omitempty"`
	// Reason is why it skipped the record, in the kernel's words.
	Reason  string        `json:"reason,omitempty"`
	Error   string        `json:"error,omitempty"`
	Code    string        `json:"code,omitempty"`
	Fuel    *int64        `json:"fuel,omitempty"` // nil if it never ran
	Elapsed time.Duration `json:"elapsedNs"`
	Digest  Digest        `json:"kernel"`
	Dialect string        `json:"dialect"`
	Logs    string        `json:"logs,omitempty"` // the last 4 KiB of stderr
	// Trace is what a replay found.
	Trace *KernelTrace `json:"replay,omitempty"`
}

// KernelAnswer is one operation of a kernel's answer.
type KernelAnswer struct {
	Op    string `json:"op"`             // keep, slice or put
	Port  string `json:"port,omitempty"` // its name; empty if the kernel has one port without a name
	Key   string `json:"key,omitempty"`  // of a put that has its own
	Bytes int    `json:"bytes"`
}

// KernelTrace is how a record ended on the un-metered module.
type KernelTrace struct {
	// Cause is why it ended; empty if the record went through, which a
	// deterministic kernel that failed before cannot do.
	Cause string `json:"cause,omitempty"`
	// Frames are the functions on the stack, innermost first; each with its
	// source ("main.c:12:3"), innermost inlined function first, if the module
	// has debug information.
	Frames []KernelFrame `json:"frames,omitempty"`
	// Logs is the last 4 KiB of stderr.
	Logs string `json:"logs,omitempty"`
	// Note says what keeps the trace from being more.
	Note string `json:"note,omitempty"`
}

// KernelFrame is a function on a stack.
type KernelFrame struct {
	Func   string   `json:"func"`
	Source []string `json:"source,omitempty"`
}

// KernelBuild is one build.
type KernelBuild struct {
	// Dir is the project's folder.
	Dir string
	// Out is the module; empty means NAME.wasm in Dir, after its manifest.
	Out string
	// Log takes what the tools print.
	Log io.Writer
}

// KernelModule is a built module.
type KernelModule struct {
	File    string `json:"file"`
	Lang    string `json:"lang"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Size    int64  `json:"size"` // bytes
	Digest  Digest `json:"digest"`
}

// KernelTarget is a kernel to look at: a module, or the folder of a project that
// was built.
type KernelTarget struct {
	Path     string
	Limits   map[string]string // as in KernelRun
	CacheDir string
	// Progress takes a line for each step that may take a while.
	Progress io.Writer
}

// KernelTest is one run of the golden cases.
type KernelTest struct {
	KernelTarget
	// Cases is their folder; empty means "cases" beside the module.
	Cases string
	// Update rewrites what the cases want with what the kernel answers.
	Update bool
}

// KernelProblem is one reason why a kernel cannot run. Code is stable.
type KernelProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// KernelReport is what Check and Test found.
type KernelReport struct {
	File     string          `json:"file"`
	Digest   Digest          `json:"digest"`
	Dialect  string          `json:"dialect"`
	Wants    []string        `json:"wants"` // capabilities that a pipeline must grant
	Problems []KernelProblem `json:"problems"`
	Cases    []KernelCase    `json:"cases"`
	// Notes say what could not be looked at, and why.
	Notes []string `json:"notes,omitempty"`
}

// KernelCase is a sample or golden case that was run.
type KernelCase struct {
	Name string `json:"name"`
	// File is where a golden case stands.
	File   string `json:"file,omitempty"`
	Passed bool   `json:"passed"`
	Fuel   int64  `json:"fuel"`
	// Updated tells that its file was rewritten.
	Updated bool `json:"updated,omitempty"`
	// Detail says on some lines what differs.
	Detail string `json:"detail,omitempty"`
}

// KernelBench is one measurement.
type KernelBench struct {
	KernelTarget
	// Case names a sample of the manifest or a golden case beside the module;
	// empty means Config and Input.
	Case   string
	Config []byte
	Input  []byte
}

// KernelCost is what a record costs.
type KernelCost struct {
	File    string            `json:"file"`
	Digest  Digest            `json:"digest"`
	Input   int               `json:"inputBytes"`
	Fuel    int64             `json:"fuel"` // of one record alone
	Batches []KernelBatchCost `json:"batches"`
	Start   time.Duration     `json:"startNs"` // from the compiled module to the first answer, wall time
}

// KernelBatchCost is the price of a record in batches of one size.
type KernelBatchCost struct {
	Size int `json:"size"`
	// Nanos is CPU time per record, the median of several rounds.
	Nanos float64 `json:"cpuNs"`
	// Control is the same measured again, in between: how far both differ is
	// what the machine adds.
	Control float64 `json:"controlCpuNs"`
	Fuel    int64   `json:"fuel"` // per record
}

// KernelInfo is what a module is made of.
type KernelInfo struct {
	File      string          `json:"file"`
	Digest    Digest          `json:"digest"`
	Size      int64           `json:"size"` // bytes
	Dialect   string          `json:"dialect"`
	Manifest  json.RawMessage `json:"manifest,omitempty"`
	Wants     []string        `json:"wants"`
	Imports   []string        `json:"imports"`
	Exports   []string        `json:"exports"`
	MemoryMin uint64          `json:"memoryMin"`           // bytes
	MemoryMax uint64          `json:"memoryMax,omitempty"` // bytes; 0: none declared
	Functions int             `json:"functions"`           // its own
	Biggest   string          `json:"biggest,omitempty"`   // function with the longest code
	Caps      []KernelCap     `json:"caps"`
	Problems  []KernelProblem `json:"problems"`
}

// KernelCap is how much of a cap on the module's shape is used.
type KernelCap struct {
	Name  string `json:"name"`
	Used  int    `json:"used"`
	Limit int    `json:"limit"`
}
