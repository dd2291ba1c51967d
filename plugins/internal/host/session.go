package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// stderrKept is how much of a call's stdout and stderr goes into a failure.
const stderrKept = 4 << 10

// session is one instantiated module with its world; both dialects build on it.
type session struct {
	kernel *Kernel
	module api.Module
	memory memory
	world  wasi.World
	stderr ring

	message  string // of the import fail
	logLeft  int
	logLost  int
	counters map[uint32]int64
	stack    [2]uint64
}

// callContext lets host functions find the session of the running call.
type callContext struct {
	context.Context
	s *session
}

type sessionKey struct{}

// Value returns the session and its world for their keys.
func (c callContext) Value(key any) any {
	switch key.(type) {
	case sessionKey:
		return c.s
	case wasi.Key:
		return &c.s.world
	}
	return c.Context.Value(key)
}

// open instantiates the module without calling anything but its start section.
func (k *Kernel) open(ctx context.Context) (*session, error) {
	s := &session{kernel: k, memory: memory{limit: k.Limits.Memory}, stderr: ring{size: stderrKept}}
	s.world = wasi.World{Args: append([]string{k.Name}, k.Args...), Env: k.Env, Stdout: &s.stderr, Stderr: &s.stderr}
	s.begin()
	limited, cancel := context.WithTimeout(ctx, max(initTime, k.Limits.Timeout))
	defer cancel()
	limited = experimental.WithMemoryAllocator(callContext{limited, s}, s.memory.allocator())
	m, err := k.runtime.InstantiateModule(limited, k.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		s.memory.Free()
		return nil, s.failure(ctx, err, max(initTime, k.Limits.Timeout))
	}
	s.module = m
	return s, nil
}

// begin forgets what the last call left behind.
func (s *session) begin() {
	s.stderr.reset()
	s.message, s.logLeft, s.logLost, s.memory.refused = "", s.kernel.Limits.Log, 0, false
}

// close ends the instance. Closing twice is harmless.
func (s *session) close() {
	_ = s.module.Close(context.Background()) // frees memory only; it cannot fail
	s.memory.Free()
	s.kernel.count(s.counters)
	s.counters = nil
}

// call runs an exported function under a time limit; the result is its first
// one, 0 if it has none.
func (s *session) call(ctx context.Context, limit time.Duration, f api.Function, args ...uint64) (uint64, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s.stack[0] = 0
	copy(s.stack[:], args)
	if err := f.CallWithStack(callContext{limited, s}, s.stack[:]); err != nil {
		return 0, s.failure(ctx, err, limit)
	}
	s.reportLost(ctx)
	return s.stack[0], nil
}

// failure classifies how a call ended. The end of the caller's own context is
// the caller's affair and is passed on as it is.
func (s *session) failure(ctx context.Context, err error, limit time.Duration) error {
	var exit *sys.ExitError
	exited := errors.As(err, &exit)
	cause, frames := splitTrap(err)
	f := s.fail(CodeTrap, "trap: %s", cause)
	f.Frames, f.Err = frames, err
	switch {
	case exited && interrupted(exit) && ctx.Err() != nil:
		return fmt.Errorf("kernel %s: %w", s.kernel.Name, ctx.Err())
	case exited && exit.ExitCode() == sys.ExitCodeDeadlineExceeded:
		f.Code, f.Cause = CodeTimeout, fmt.Sprintf("ran longer than %s and was stopped", limit)
	case s.memory.refused:
		f.Code, f.Cause = CodeMemory, fmt.Sprintf("needs more than %d bytes of memory (%s)", s.memory.limit, cause)
	case exited:
		f.Code, f.Cause = CodeExit, fmt.Sprintf("exited with code %d", exit.ExitCode())
	}
	return f
}

func interrupted(exit *sys.ExitError) bool {
	return exit.ExitCode() == sys.ExitCodeContextCanceled || exit.ExitCode() == sys.ExitCodeDeadlineExceeded
}

// fail makes a failure with what the session knows.
func (s *session) fail(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Kernel: s.kernel.Name, Digest: s.kernel.Digest,
		Cause: fmt.Sprintf(format, args...), Message: s.message, Stderr: s.stderr.tail()}
}
