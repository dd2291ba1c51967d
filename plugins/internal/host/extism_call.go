package host

import (
	"context"
	"errors"
	"fmt"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/module"
	"github.com/waybill-dev/waybill/plugins/internal/wasi"
)

// extismCall is one call of an Extism plug-in, in an instance of its own.
type extismCall struct {
	*session
	heap       extismHeap
	heapMemory memory // of Extism's kernel
	vars       map[string][]byte
	varSize    int
	plugin     *extism.Plugin
	thrown     error // by a host function, to stop the guest
	http       extismResponse
}

type extismKey struct{}

var errNoCall = errors.New("a host function was called outside of a call")

// RunExtism calls a plug-in's function in a fresh instance: input is what it
// reads, payer, which may be nil, has the budget and pays for the start of its
// language runtime too. Fuel and Stderr of the result count in case of an error
// too.
func (k *Kernel) RunExtism(ctx context.Context, input []byte, now, seed uint64, payer *pipeline.Budget) (CommandResult, error) {
	if err := ctx.Err(); err != nil {
		return CommandResult{}, fmt.Errorf("kernel %s: %w", k.Name, err)
	}
	c := k.newExtismCall(now, seed)
	defer c.close()
	c.begin(ctx, k.Limits.Timeout, k.Limits.Fuel, []*pipeline.Budget{payer})
	output, err := c.run(input)
	err = c.settle(err)
	result := CommandResult{Stderr: c.stderr.tail(), Fuel: c.spent}
	if err != nil {
		return result, err
	}
	result.Output = output
	return result, nil
}

func (k *Kernel) newExtismCall(now, seed uint64) *extismCall {
	s := &session{kernel: k, memory: memory{limit: k.Limits.Memory}, stderr: ring{size: stderrKept}}
	s.context.s = s
	s.world = wasi.World{Args: []string{k.Name}, Stdout: &s.stderr, Stderr: &s.stderr, Charge: s.tank.charge}
	s.world.Set(now, seed)
	return &extismCall{session: s, heapMemory: memory{limit: k.Limits.Memory}, vars: make(map[string][]byte)}
}

// run makes the instance and calls it.
func (c *extismCall) run(input []byte) ([]byte, error) {
	ctx := context.WithValue(&c.session.context, extismKey{}, c)
	if err := c.instantiate(ctx); err != nil {
		return nil, err
	}
	if c.memory.size+c.heapMemory.size+uint64(len(input))+module.PageSize > c.memory.limit {
		return nil, c.fail(CodeMemory, "has no room for %d bytes of input within %d bytes of memory", len(input), c.memory.limit)
	}
	code, output, err := c.plugin.CallWithContext(ctx, c.kernel.Extism.Function, input)
	message := c.plugin.GetErrorWithContext(ctx)
	c.message = message[:min(len(message), maxMessage)]
	switch {
	case err != nil && (message == "" || err.Error() != message):
		return nil, c.stopped(err)
	case c.heapMemory.refused:
		return nil, c.fail(CodeMemory, "needs more than %d bytes of memory", c.memory.limit)
	case err != nil || code != 0:
		return nil, c.fail(CodeError, "failed with code %d", code)
	case uint64(len(output)) > c.kernel.Limits.Output:
		return nil, c.fail(CodeOutput, "answered with %d bytes, the limit is %d", len(output), c.kernel.Limits.Output)
	}
	return output, nil
}

// instantiate makes the plug-in and runs its start section, if it has one. Its
// host functions expect a plug-in in the context then, too.
func (c *extismCall) instantiate(ctx context.Context) error {
	ctx = context.WithValue(ctx, extism.PluginCtxKey("plugin"), &extism.Plugin{})
	ctx = experimental.WithMemoryAllocator(ctx, c.allocator())
	p, err := c.kernel.plugin.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return c.stopped(err)
	}
	p.SetLogger(func(extism.LogLevel, string) {}) // what the SDK itself has to say
	c.plugin = p
	return nil
}

// allocator gives Extism's kernel, which the SDK instantiates first, and the
// plug-in their memories.
func (c *extismCall) allocator() experimental.MemoryAllocator {
	next, then := sharedMemory{&c.heapMemory, &c.memory}, sharedMemory{&c.memory, &c.heapMemory}
	return experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
		m := next
		next = then
		return m
	})
}

// sharedMemory is a memory within one limit together with another one.
type sharedMemory struct {
	*memory
	other *memory
}

// Reallocate is memory.grow, and the first allocation.
func (m sharedMemory) Reallocate(size uint64) []byte {
	if size+m.other.size > m.limit {
		m.refused = true
		return nil
	}
	return m.memory.Reallocate(size)
}

// stopped classifies how a call ended that did not come back.
func (c *extismCall) stopped(err error) error {
	if c.heapMemory.refused {
		c.memory.refused = true
	}
	if c.thrown != nil && !errors.Is(err, c.thrown) {
		err = forgotten{err, c.thrown}
	}
	return c.failure(err)
}

// forgotten is an error with a cause that the SDK left out.
type forgotten struct {
	error
	cause error
}

// Unwrap returns the cause.
func (f forgotten) Unwrap() error { return f.cause }

// close frees the instance.
func (c *extismCall) close() {
	if c.plugin != nil {
		_ = c.plugin.Close(context.Background()) // frees memory only
	}
	c.memory.Free()
	c.heapMemory.Free()
}
