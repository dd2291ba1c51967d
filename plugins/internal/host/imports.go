package host

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/module"
)

const (
	maxMessage  = 4 << 10 // of the import fail
	maxCounters = 64
	// logLine is what a message costs of the log limit besides its bytes: about
	// what time, level and kernel take on its line. Empty ones cost too.
	logLine = 64
)

// instantiateImports adds the host module kernel/1.
func instantiateImports(ctx context.Context, r wazero.Runtime) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	b := r.NewHostModuleBuilder(module.ImportKernel)
	add := func(name string, f hostFunc, params []api.ValueType, results ...api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(f.adapt(name), params, results).Export(name)
	}
	add("log", hostLog, []api.ValueType{i32, i32, i32})
	add("fail", hostFail, []api.ValueType{i32, i32, i32})
	add("counter", hostCounter, []api.ValueType{i32, i64})
	four := []api.ValueType{i32, i32, i32, i32}
	for name, f := range map[string]asks{"http": askHTTP, "blob": askBlob, "secret": askSecret, "state_get": askState} {
		add(name, f.call, four, i64)
	}
	add("state_put", hostStatePut, four, i64)
	add("rest", hostRest, []api.ValueType{i32, i32, i32}, i64)
	_, err := b.Instantiate(ctx)
	return err
}

// hostFunc is a function of kernel/1. An error traps the guest: a pointer
// outside its memory is a bug that nothing good can follow.
type hostFunc func(ctx context.Context, s *session, m api.Memory, stack []uint64) error

func (f hostFunc) adapt(name string) api.GoModuleFunc {
	return func(ctx context.Context, m api.Module, stack []uint64) {
		s, ok := ctx.Value(sessionKey{}).(*session)
		if !ok {
			panic(fmt.Errorf("%s called outside of a call", name))
		}
		s.tank.charge(hostCallUnits)
		if err := f(ctx, s, m.Memory(), stack); err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
	}
}

func text(m api.Memory, ptr, n uint64) (string, error) {
	b, ok := m.Read(uint32(ptr), uint32(n))
	if !ok {
		return "", fmt.Errorf("%d bytes at %d lie outside the memory", uint32(n), uint32(ptr))
	}
	return string(b[:min(len(b), maxMessage)]), nil
}

// levels of the ABI: 0 debug, 1 info, 2 warn, 3 error.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func hostLog(ctx context.Context, s *session, m api.Memory, stack []uint64) error {
	msg, err := text(m, stack[1], stack[2])
	if err != nil {
		return err
	}
	s.log(levels[min(uint32(stack[0]), uint32(len(levels)-1))], msg)
	return nil
}

// log writes a message of the guest's, or counts it as lost.
func (s *session) log(level slog.Level, msg string) {
	if s.warming {
		return
	}
	if len(msg)+logLine > s.logLeft {
		s.logLost++
		return
	}
	s.tank.charge(logUnits)
	s.logLeft -= len(msg) + logLine
	s.kernel.Log.Log(s.context.Context, level, msg, "kernel", s.kernel.Name)
}

// reportLost says how many messages a call lost to the log limit.
func (s *session) reportLost() {
	s.kernel.Log.WarnContext(s.context.Context, "kernel log messages lost: limits.log was reached", "kernel", s.kernel.Name, "lost", s.logLost)
}

func hostFail(_ context.Context, s *session, m api.Memory, stack []uint64) error {
	msg, err := text(m, stack[1], stack[2])
	if err != nil {
		return err
	}
	s.message = msg
	return nil
}

func hostCounter(_ context.Context, s *session, _ api.Memory, stack []uint64) error {
	id := uint32(stack[0])
	if id >= maxCounters {
		return fmt.Errorf("id %d, there are %d counters", id, maxCounters)
	}
	if s.counters == nil {
		s.counters = make(map[uint32]int64)
	}
	s.counters[id] += int64(stack[1])
	return nil
}
