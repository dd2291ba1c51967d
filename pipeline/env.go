package pipeline

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
)

// Env is everything that a stage may touch besides its items. Nothing is
// global.
type Env struct {
	// Log has run and stage attributes set.
	Log *slog.Logger
	// Dir is the folder of the pipeline file; relative paths in the file are
	// relative to it.
	Dir string
	// Run describes this execution.
	Run RunInfo
	// Stage is the stage's name; Kind its kind; Pos its place in the file.
	Stage string
	Kind  string
	Pos   Pos
	// Concurrency is how many items are inside the stage at once, at most.
	Concurrency int
	// CacheDir is a private folder for things worth keeping between runs
	// (compiled kernels). Empty means do not cache.
	CacheDir string
	// RuntimeDir is a folder for things that live as long as the process
	// (browser profiles): the same in every run, so that one finds what a crash
	// of another left. Only we can list it or write to it; if we are root,
	// others can pass it, so what is private needs a folder of mode 0700 in it.
	// Empty means that the stage finds a place of its own.
	RuntimeDir string
	// Stdout is where `send: { to: stdout }` writes; never nil.
	Stdout io.Writer
	// Stdin is what `claim: { from: stdin }` reads; nil means os.Stdin.
	Stdin io.Reader
	// Lanes returns which lanes' keys this process may claim at this moment, for
	// a source whose config leases lanes (Shared); nil means all.
	Lanes func() LaneSet
}

// Shared is implemented by the config of a source whose items several processes
// may work on.
type Shared interface {
	// Sharing returns the name of the queue, and whether its lanes are leased: each
	// process claims only the keys of its own.
	Sharing() (queue string, leased bool)
}

// RunInfo identifies one execution of a pipeline.
type RunInfo struct {
	// ID is unique per run.
	ID string
	// Pipeline is the name in the file.
	Pipeline string
	// Source is the normalised pipeline (canonical JSON, secrets as
	// references), and Digest its digest.
	Source []byte
	Digest Digest
	// Version is the engine's version.
	Version string
	// MaxAttempts is run.retry.attempts.
	MaxAttempts int
}

// SplitURL cuts "scheme:rest"; ok is false if there is no scheme.
func SplitURL(url string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(url, ":")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "/\\.") {
		return "", "", false
	}
	return scheme, rest, true
}

// FilePath returns the path that a file: URL names, relative ones below dir:
// file:var/x, file:/var/x and file:///var/x. Any other URL, and one that names
// nothing, is an error with the code bad-url.
func FilePath(url, dir string) (string, error) {
	scheme, path, ok := SplitURL(url)
	path = strings.TrimPrefix(path, "//")
	if !ok || scheme != "file" || path == "" {
		return "", Fail("bad-url", "%q is not a file: URL", url).WithHint("for example file:var/name")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path, nil
}

type traceKey struct{}

// ContextWithTrace returns ctx with the trace context of the span that work
// under it belongs to. The engine sets it; stages that call other systems read
// it with TraceFrom.
func ContextWithTrace(ctx context.Context, tc TraceContext) context.Context {
	return context.WithValue(ctx, traceKey{}, tc)
}

// TraceFrom returns the current trace context, or a zero one.
func TraceFrom(ctx context.Context) TraceContext {
	tc, _ := ctx.Value(traceKey{}).(TraceContext)
	return tc
}
