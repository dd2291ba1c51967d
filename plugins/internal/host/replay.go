package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/waybill-dev/waybill/plugins/internal/compiler"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// Trace is how a record ended on the module as its compiler wrote it.
type Trace struct {
	// Cause is why it ended, empty if the call came back.
	Cause string
	// Frames are the guest's functions, innermost first; 30 at most.
	Frames []TraceFrame
	// Stderr is the last of what the guest wrote, at most 4 KiB.
	Stderr string
}

// TraceFrame is a function on the stack, and where in the source it stood:
// file:line:column, those of inlined functions first. Source is empty without
// debug information.
type TraceFrame struct {
	Func   string
	Source []string
}

// Replay runs one record on the un-metered module, to find out where in the
// source it fails: metering moves the code and drops its debug information.
// Nothing but the wall time and the memory of the limits, and the caps of tables,
// bounds the run; loops end by wazero's own interruption, recursion by a
// listener, which together cost twenty times what fuel does. Use it for records
// that failed under fuel.
//
// The error is for what keeps the replay from running at all.
func Replay(ctx context.Context, o Options, r k1.Record) (Trace, error) {
	m, err := module.Parse(o.WASM)
	if err != nil {
		return Trace{}, err
	}
	dialect := m.Dialect()
	if dialect != module.K1 && dialect != module.Command {
		return Trace{}, fmt.Errorf("a module of the dialect %s cannot be replayed", dialect)
	}
	k := &Kernel{Options: o, Dialect: dialect, counters: make(map[uint32]int64)}
	defer k.Close(context.WithoutCancel(ctx))
	if err := k.compilePlain(ctx); err != nil {
		return Trace{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limits.Timeout)
	defer cancel()
	s, err := k.openPlain(ctx)
	if err == nil {
		defer s.close()
		err = s.replay(dialect, r)
	}
	return s.trace(ctx, err), nil
}

// compilePlain compiles the file with its code as it is.
func (k *Kernel) compilePlain(ctx context.Context) (err error) {
	k.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))
	for _, instantiate := range []func(context.Context, wazero.Runtime) error{wasi.Instantiate, instantiateImports} {
		if err := instantiate(ctx, k.runtime); err != nil {
			return fmt.Errorf("kernel host: %w", err)
		}
	}
	watched := experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(api.FunctionDefinition) experimental.FunctionListener { return watch{} }))
	wasm, err := meter.Bound(k.WASM, meter.DefaultCaps())
	if err != nil {
		return err
	}
	k.compiled, err = compiler.Compile(watched, k.runtime, wasm)
	return err
}

// watch ends a guest that recurses without a loop, where wazero does not look
// at the context.
type watch struct{}

// Before ends the call once the context is done.
func (watch) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if ctx.Err() != nil {
		panic(&stop{code: CodeTimeout, cause: "ran too long and was stopped"})
	}
}

// After does nothing.
func (watch) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort does nothing.
func (watch) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// openPlain instantiates the module. The session is never nil, so that it can
// tell of a start section that fails.
func (k *Kernel) openPlain(ctx context.Context) (*session, error) {
	s := &session{kernel: k, memory: memory{limit: k.Limits.Memory}, stderr: ring{size: stderrKept}}
	s.context.s = s
	s.world = wasi.World{Args: append([]string{k.Name}, k.Args...), Env: k.Env, Stdout: &s.stderr, Stderr: &s.stderr, Charge: s.tank.charge}
	s.begin(ctx, time.Hour, 0, nil) // the context is what ends it
	allocate := experimental.WithMemoryAllocator(&s.context, s.memory.allocator())
	m, err := k.runtime.InstantiateModule(allocate, k.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		s.memory.Free()
		return s, s.failure(err)
	}
	s.module = m
	return s, nil
}

// replay runs the record.
func (s *session) replay(dialect module.Dialect, r k1.Record) error {
	if dialect == module.Command {
		s.world.Stdin, s.world.Stdout = bytes.NewReader(r.Value), &sink{limit: s.kernel.Limits.Output}
		s.world.Set(r.Time, r.Seed)
		_, err := s.call(s.module.ExportedFunction("_start"))
		var exit *sys.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 0 {
			err = nil
		}
		return err
	}
	i := &Instance{session: s, run: s.module.ExportedFunction("k1_run"), buffer: s.module.ExportedFunction("k1_buffer")}
	if err := i.start(); err != nil {
		return err
	}
	b, err := k1.NewBatch([]k1.Record{r})
	if err != nil {
		return err
	}
	ops, err := i.batch(nil, b)
	for _, op := range ops {
		if op.Code == k1.Err {
			return s.fail(CodeError, "it reported the failure itself: %s", op.Value)
		}
	}
	return err
}

// trace says how the run ended.
func (s *session) trace(ctx context.Context, err error) Trace {
	t := Trace{Stderr: s.stderr.tail()}
	var f *Failure
	switch {
	case errors.As(err, &f):
		t.Cause = f.Cause
		if f.Message != "" {
			t.Cause += ": " + f.Message
		}
		if f.Err != nil {
			t.Frames = sourceFrames(f.Err.Error())
		}
	case err != nil:
		t.Cause = err.Error()
	}
	if ctx.Err() != nil {
		t.Cause = fmt.Sprintf("ran longer than %s and was stopped", s.kernel.Limits.Timeout)
	}
	return t
}

// instruction is the code offset in front of a frame's first source line.
var instruction = regexp.MustCompile(`^0x[0-9a-f]+: `)

// sourceFrames reads the stack in wazero's error text. A line of source stands
// one tab further in than its function.
func sourceFrames(text string) []TraceFrame {
	_, stack, _ := strings.Cut(text, stackMark)
	stack, _, _ = strings.Cut(stack, "\n\n")
	var frames []TraceFrame
	for line := range strings.SplitSeq(stack, "\n") {
		line = strings.TrimPrefix(line, "\t")
		if source, ok := strings.CutPrefix(line, "\t"); ok {
			if n := len(frames); n > 0 {
				source = strings.TrimSpace(instruction.ReplaceAllString(source, ""))
				frames[n-1].Source = append(frames[n-1].Source, source)
			}
			continue
		}
		if name, _, ok := strings.Cut(line, "("); ok {
			frames = append(frames, TraceFrame{Func: strings.TrimPrefix(name, ".")})
		}
	}
	return frames
}
