package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

const (
	// maxVars is how many bytes the variables of a plug-in take at most, their
	// names included, and varOverhead what each takes besides: Extism's default.
	maxVars     = 1 << 20
	varOverhead = 40
	// logLevelDebug is Extism's number of the level from which on plug-ins are
	// told to log. It is always the same, because a plug-in may do something
	// else depending on it.
	logLevelDebug = 1
)

// extismFunc is a function of extism:host/env. Its arguments and result are on
// the stack. An error traps the plug-in.
type extismFunc struct {
	params, results []api.ValueType
	do              func(ctx context.Context, c *extismCall, stack []uint64) error
}

// extismFunctions lists extism:host/env as this host has it.
func extismFunctions() map[string]extismFunc {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	t := func(types ...api.ValueType) []api.ValueType { return types }
	return map[string]extismFunc{
		"alloc":            {t(i64), t(i64), envAlloc},
		"free":             {t(i64), nil, envFree},
		"length":           {t(i64), t(i64), envLength},
		"length_unsafe":    {t(i64), t(i64), envLength},
		"load_u8":          {t(i64), t(i32), envLoad8},
		"load_u64":         {t(i64), t(i64), envLoad64},
		"store_u8":         {t(i64, i32), nil, envStore8},
		"store_u64":        {t(i64, i64), nil, envStore64},
		"input_offset":     {nil, t(i64), envInputOffset},
		"input_length":     {nil, t(i64), envInputLength},
		"input_load_u8":    {t(i64), t(i32), envInput8},
		"input_load_u64":   {t(i64), t(i64), envInput64},
		"output_set":       {t(i64, i64), nil, envOutputSet},
		"error_set":        {t(i64), nil, envErrorSet},
		"config_get":       {t(i64), t(i64), envConfigGet},
		"var_get":          {t(i64), t(i64), envVarGet},
		"var_set":          {t(i64, i64), nil, envVarSet},
		"http_request":     {t(i64, i64), t(i64), envHTTPRequest},
		"http_status_code": {nil, t(i32), envHTTPStatus},
		"http_headers":     {nil, t(i64), envHTTPHeaders},
		"log_trace":        {t(i64), nil, envFree},
		"log_debug":        {t(i64), nil, envLog(slog.LevelDebug)},
		"log_info":         {t(i64), nil, envLog(slog.LevelInfo)},
		"log_warn":         {t(i64), nil, envLog(slog.LevelWarn)},
		"log_error":        {t(i64), nil, envLog(slog.LevelError)},
		"get_log_level":    {nil, t(i32), envLogLevel},
	}
}

// extismHostFunctions returns all that a plug-in can import.
func extismHostFunctions() []extism.HostFunction {
	var all []extism.HostFunction
	add := func(namespace, name string, f extism.HostFunctionStackCallback, params, results []api.ValueType) {
		h := extism.NewHostFunctionWithStack(name, f, params, results)
		h.SetNamespace(namespace)
		all = append(all, h)
	}
	i64 := []api.ValueType{api.ValueTypeI64}
	add(meter.ImportModule, meter.ImportYield, adaptExtism(func(ctx context.Context, _ *extismCall, stack []uint64) {
		yield(ctx, stack)
	}), i64, i64)
	for _, f := range wasi.HostFuncs() {
		add(extismWASI, f.Name, adaptExtism(func(ctx context.Context, c *extismCall, stack []uint64) {
			f.Call(ctx, c.module, stack)
		}), f.Params, f.Results)
	}
	for name, f := range extismFunctions() {
		add(extismEnv, name, adaptExtism(func(ctx context.Context, c *extismCall, stack []uint64) {
			c.tank.charge(hostCallUnits)
			err := c.heap.open(ctx)
			if err == nil {
				err = f.do(ctx, c, stack)
			}
			if err != nil {
				panic(fmt.Errorf("%s: %w", name, err))
			}
		}), f.params, f.results)
	}
	return all
}

// adaptExtism gives a function its call, and the call the reason for which the
// function stopped the guest: the SDK forgets errors while it starts a language
// runtime.
func adaptExtism(f func(ctx context.Context, c *extismCall, stack []uint64)) extism.HostFunctionStackCallback {
	return func(ctx context.Context, _ *extism.CurrentPlugin, stack []uint64) {
		c, ok := ctx.Value(extismKey{}).(*extismCall)
		if !ok {
			panic(errNoCall)
		}
		defer func() {
			if p := recover(); p != nil {
				c.thrown, _ = p.(error)
				panic(p)
			}
		}()
		f(ctx, c, stack)
	}
}

// walk pays for the kernel's way over all blocks.
func (c *extismCall) walk() { c.tank.charge(c.heap.made) }

// write puts bytes into a new block.
func (c *extismCall) write(ctx context.Context, b []byte) (at uint64, err error) {
	c.tank.charge(int64(len(b) / 8))
	p, err := c.alloc(ctx, uint64(len(b)))
	if err != nil || len(b) == 0 {
		return 0, err
	}
	slot, err := c.heap.slot(uint64(p), uint32(len(b)))
	copy(slot, b)
	return uint64(p), err
}

func (c *extismCall) alloc(ctx context.Context, size uint64) (uint32, error) {
	c.walk()
	p, ok, err := c.heap.alloc(ctx, size)
	if err == nil && !ok {
		err = &stop{CodeMemory, fmt.Sprintf("needs more than %d bytes of memory (no room for a block of %d)", c.memory.limit, size)}
	}
	return p, err
}

// take returns a copy of a block and, as Extism does, frees it.
func (c *extismCall) take(ctx context.Context, at uint64) ([]byte, error) {
	c.walk()
	b := slices.Clone(c.heap.bytes(at))
	c.tank.charge(int64(len(b) / 8))
	return b, c.heap.free(ctx, at)
}

func envAlloc(ctx context.Context, c *extismCall, stack []uint64) error {
	p, err := c.alloc(ctx, stack[0])
	stack[0] = uint64(p)
	return err
}

func envFree(ctx context.Context, c *extismCall, stack []uint64) error {
	c.walk()
	return c.heap.free(ctx, stack[0])
}

func envLength(_ context.Context, c *extismCall, stack []uint64) error {
	stack[0] = uint64(c.heap.length(stack[0]))
	return nil
}

func envLoad8(_ context.Context, c *extismCall, stack []uint64) error {
	b, err := c.heap.load(stack[0], 1)
	if err == nil {
		stack[0] = uint64(b[0])
	}
	return err
}

func envLoad64(_ context.Context, c *extismCall, stack []uint64) error {
	b, err := c.heap.load(stack[0], 8)
	if err == nil {
		stack[0] = binary.LittleEndian.Uint64(b)
	}
	return err
}

func envStore8(_ context.Context, c *extismCall, stack []uint64) error {
	b, err := c.heap.slot(stack[0], 1)
	if err == nil {
		b[0] = byte(stack[1])
	}
	return err
}

func envStore64(_ context.Context, c *extismCall, stack []uint64) error {
	b, err := c.heap.slot(stack[0], 8)
	if err == nil {
		binary.LittleEndian.PutUint64(b, stack[1])
	}
	return err
}

func envInputOffset(_ context.Context, c *extismCall, stack []uint64) error {
	stack[0] = uint64(c.heap.input.at)
	return nil
}

func envInputLength(_ context.Context, c *extismCall, stack []uint64) error {
	stack[0] = uint64(c.heap.input.size)
	return nil
}

// envInput8 and envInput64 read the input; behind its end there are zeros.
func envInput8(_ context.Context, c *extismCall, stack []uint64) error {
	var word [1]byte
	c.heap.readInput(stack[0], word[:])
	stack[0] = uint64(word[0])
	return nil
}

func envInput64(_ context.Context, c *extismCall, stack []uint64) error {
	var word [8]byte
	c.heap.readInput(stack[0], word[:])
	stack[0] = binary.LittleEndian.Uint64(word[:])
	return nil
}

func (h *extismHeap) readInput(at uint64, into []byte) {
	if at < uint64(h.input.size) {
		b, _ := h.memory.Read(h.input.at, h.input.size)
		copy(into, b[at:])
	}
}

// envOutputSet names the output. It is copied after the call, by the SDK, which
// would take one outside of the memory for an empty one.
func envOutputSet(ctx context.Context, c *extismCall, stack []uint64) error {
	at, n, size := stack[0], stack[1], uint64(c.heap.memory.Size())
	if at > size || n > size-at {
		return fmt.Errorf("%d bytes at %d lie outside the memory", n, at)
	}
	_, err := c.heap.call(ctx, "output_set", at, n)
	return err
}

func envErrorSet(ctx context.Context, c *extismCall, stack []uint64) error {
	_, err := c.heap.call(ctx, "error_set", stack[0])
	return err
}

func envConfigGet(ctx context.Context, c *extismCall, stack []uint64) (err error) {
	value, ok := c.kernel.Extism.Config[string(c.heap.bytes(stack[0]))]
	stack[0] = 0
	if ok {
		stack[0], err = c.write(ctx, []byte(value))
	}
	return err
}

func envVarGet(ctx context.Context, c *extismCall, stack []uint64) error {
	name, err := c.take(ctx, stack[0])
	stack[0] = 0
	if value, ok := c.vars[string(name)]; ok && err == nil {
		stack[0], err = c.write(ctx, value)
	}
	return err
}

func envVarSet(ctx context.Context, c *extismCall, stack []uint64) error {
	name, err := c.take(ctx, stack[0])
	if err != nil {
		return err
	}
	old, had := c.vars[string(name)]
	if had {
		c.varSize -= len(name) + len(old) + varOverhead
		delete(c.vars, string(name))
	}
	if stack[1] == 0 {
		return nil
	}
	value, err := c.take(ctx, stack[1])
	if err != nil {
		return err
	}
	if c.varSize += len(name) + len(value) + varOverhead; c.varSize > maxVars {
		return &stop{CodeMemory, fmt.Sprintf("its variables take more than %d bytes", maxVars)}
	}
	c.vars[string(name)] = value
	return nil
}

func envLog(level slog.Level) func(context.Context, *extismCall, []uint64) error {
	return func(ctx context.Context, c *extismCall, stack []uint64) error {
		msg := c.heap.bytes(stack[0])
		c.log(level, string(msg[:min(len(msg), maxMessage)]))
		c.walk()
		return c.heap.free(ctx, stack[0])
	}
}

func envLogLevel(_ context.Context, _ *extismCall, stack []uint64) error {
	stack[0] = logLevelDebug
	return nil
}
