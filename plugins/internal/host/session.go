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

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// stderrKept is how much of a call's stdout and stderr goes into a failure.
const stderrKept = 4 << 10

// session is one instantiated module with its world; both dialects build on it.
type session struct {
	kernel *Kernel
	module api.Module
	memory memory
	tank   tank
	world  wasi.World
	stderr ring

	message  string // of the import fail
	logLeft  int
	logLost  int
	counters map[uint32]int64 // of the running call
	warming  bool             // the warm-up record is nobody's item: it logs and counts nothing
	stack    [2]uint64
	context  callContext
	spent    int64             // fuel of the last account
	answer   []byte            // the last one of a capability, for the import rest
	state    *capability.State // nil: not granted

	globals []api.MutableGlobal // the guest's own
	// spoiled tells that it cannot be put back: that failed once, or its stack
	// overflowed, and what that took stays with the function.
	spoiled bool
}

// callContext lets host functions find the session of the running call.
type callContext struct {
	context.Context
	s *session
}

type sessionKey struct{}

// Value returns the session and its world for their keys, and nothing else: the
// engine asks for keys of its own in every call, which the caller's context
// would be searched for from layer to layer. Host functions that need the
// caller's values take them from the session.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case sessionKey:
		return c.s
	case wasi.Key:
		return &c.s.world
	}
	return nil
}

// open instantiates the module without calling anything but its start section.
// The account that it begins is open for further calls, until settle.
func (k *Kernel) open(ctx context.Context) (*session, error) {
	s := &session{kernel: k, memory: memory{limit: k.Limits.Memory}, stderr: ring{size: stderrKept}}
	s.context.s = s
	s.state = k.Grants.NewState() // for the start; each call gets its lane's
	s.world = wasi.World{Args: append([]string{k.Name}, k.Args...), Env: k.Env, Stdout: &s.stderr, Stderr: &s.stderr, Charge: s.tank.charge}
	s.begin(ctx, max(initTime, k.Limits.Timeout), initFuel, nil)
	allocate := experimental.WithMemoryAllocator(&s.context, s.memory.allocator())
	m, err := k.runtime.InstantiateModule(allocate, k.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		s.memory.Free()
		return nil, s.failure(err)
	}
	s.module = m
	s.tank.counter = m.ExportedGlobal(meter.ExportFuel).(api.MutableGlobal)
	s.globals = exportedGlobals(m, k.globals)
	return s, nil
}

// begin forgets what the last call left behind and opens an account.
func (s *session) begin(ctx context.Context, timeout time.Duration, fuel int64, payers []*pipeline.Budget) {
	s.stderr.reset()
	s.message, s.logLeft, s.logLost, s.memory.refused, s.spent = "", s.kernel.Limits.Log, 0, false, 0
	if len(s.counters) > 0 {
		clear(s.counters)
	}
	s.context.Context = ctx
	s.tank.begin(ctx, timeout, fuel, payers)
}

// settle closes the account. A call that came back but cannot pay has failed.
func (s *session) settle(err error) error {
	if s.logLost > 0 {
		s.reportLost()
	}
	spent, stopped := s.tank.end(err == nil)
	s.spent = spent
	s.answer = nil // it may be large, and is none of the next call's business
	if stopped != nil && err == nil {
		return s.failure(stopped)
	}
	return err
}

// close ends the instance. Closing twice is harmless.
func (s *session) close() {
	_ = s.module.Close(context.Background()) // frees memory only; it cannot fail
	s.memory.Free()
}

// commit makes what a call counted part of the kernel's sums.
func (s *session) commit() {
	if len(s.counters) > 0 {
		s.kernel.count(s.counters)
		clear(s.counters)
	}
}

// call runs an exported function on the open account; the result is its first
// one, 0 if it has none.
func (s *session) call(f api.Function, args ...uint64) (uint64, error) {
	s.stack[0] = 0
	copy(s.stack[:], args)
	if err := f.CallWithStack(&s.context, s.stack[:]); err != nil {
		return 0, s.failure(err)
	}
	return s.stack[0], nil
}

// stackOverflow is wazero's text of that trap.
const stackOverflow = "stack overflow"

// failure classifies how a call ended. The end of the caller's own context is
// the caller's affair and is passed on as it is.
func (s *session) failure(err error) error {
	var exit *sys.ExitError
	var stopped *stop
	cause, frames := splitTrap(err)
	s.spoiled = s.spoiled || cause == stackOverflow
	f := s.fail(CodeTrap, "trap: %s", cause)
	f.Frames, f.Err = frames, err
	switch {
	case errors.As(err, &stopped) && stopped.code == "":
		return fmt.Errorf("kernel %s: %w", s.kernel.Name, s.context.Err())
	case stopped != nil:
		f.Code, f.Cause = stopped.code, stopped.cause
	case s.memory.refused:
		f.Code, f.Cause = CodeMemory, fmt.Sprintf("needs more than %d bytes of memory (%s)", s.memory.limit, cause)
	case errors.As(err, &exit):
		f.Code, f.Cause = CodeExit, fmt.Sprintf("exited with code %d", exit.ExitCode())
	}
	return f
}

// fail makes a failure with what the session knows.
func (s *session) fail(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Kernel: s.kernel.Name, Digest: s.kernel.Digest,
		Cause: fmt.Sprintf(format, args...), Message: s.message, Stderr: s.stderr.tail()}
}
