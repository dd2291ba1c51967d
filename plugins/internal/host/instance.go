package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// firstBuffer is the input buffer that an instance is asked for at its start,
// so that most batches need no further call.
const firstBuffer = 64 << 10

// Instance is one running k1 kernel. It belongs to one caller at a time.
type Instance struct {
	*session
	run, buffer api.Function
	in, inCap   uint32 // the input buffer
	broken      bool
}

// Start makes an instance: _initialize, k1_abi, k1_buffer, k1_init.
func (k *Kernel) Start(ctx context.Context) (*Instance, error) {
	s, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	i := &Instance{session: s, run: s.module.ExportedFunction("k1_run"), buffer: s.module.ExportedFunction("k1_buffer")}
	if err := i.settle(i.start()); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

func (i *Instance) start() error {
	if f := i.module.ExportedFunction("_initialize"); f != nil {
		if _, err := i.call(f); err != nil {
			return err
		}
	}
	features, err := i.call(i.module.ExportedFunction("k1_abi"))
	if err != nil {
		return err
	}
	if features != 0 {
		return i.fail(CodeExports, "wants features 0x%x of the k1 ABI that this version does not have", features)
	}
	config := i.kernel.Config
	if err := i.reserve(max(firstBuffer, uint32(len(config)))); err != nil {
		return err
	}
	if !i.module.Memory().Write(i.in, config) {
		return i.fail(CodeBadFrame, "its input buffer left its memory")
	}
	code, err := i.call(i.module.ExportedFunction("k1_init"), uint64(i.in), uint64(len(config)))
	if err != nil {
		return err
	}
	if int64(code) < 0 {
		return i.fail(CodeInit, "refused its configuration (code %d)", int64(code))
	}
	return nil
}

// reserve makes the input buffer hold at least n bytes.
func (i *Instance) reserve(n uint32) error {
	if n <= i.inCap {
		return nil
	}
	ptr, err := i.call(i.buffer, uint64(n))
	if err != nil {
		return err
	}
	at, size := uint32(ptr), uint64(i.module.Memory().Size())
	switch {
	case at == 0:
		return i.fail(CodeMemory, "has no room for %d bytes of input within %d bytes of memory", n, i.memory.limit)
	case at%16 != 0:
		return i.fail(CodeBadFrame, "k1_buffer answered %d, which is not a multiple of 16", at)
	case uint64(at)+uint64(n) > size:
		return i.fail(CodeBadFrame, "k1_buffer answered %d for %d bytes, the memory has %d", at, n, size)
	}
	i.in, i.inCap = at, n
	return nil
}

// Run gives the kernel one batch. Its fuel is shared equally by the payers, one
// per record, or nobody's if there are none. After an error from which the
// kernel may not have come back whole, Broken is true and the instance is to be
// closed.
func (i *Instance) Run(ctx context.Context, b *k1.Batch, payers ...*pipeline.Budget) ([]k1.Op, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("kernel %s: %w", i.kernel.Name, err)
	}
	i.begin(ctx, i.kernel.Limits.Timeout, i.kernel.Limits.Fuel, payers)
	ops, err := i.batch(b)
	if settled := i.settle(err); settled != err {
		i.broken = true
		return nil, settled
	}
	return ops, err
}

func (i *Instance) batch(b *k1.Batch) ([]k1.Op, error) {
	i.broken = true // until the call has come back
	if len(b.Records) > 0 {
		i.world.Set(b.Records[0].Time, b.Records[0].Seed)
	}
	if err := i.reserve(b.Size()); err != nil {
		return nil, err
	}
	frame, ok := i.module.Memory().Read(i.in, b.Size())
	if !ok {
		return nil, i.fail(CodeBadFrame, "its input buffer left its memory")
	}
	b.Encode(frame)
	packed, err := i.call(i.run, uint64(i.in), uint64(b.Size()))
	if err != nil {
		return nil, err
	}
	if int64(packed) < 0 {
		i.broken = false
		return nil, i.fail(CodeError, "failed with code %d", int64(packed))
	}
	ops, err := i.answer(b, uint32(packed>>32), uint32(packed))
	i.broken = err != nil
	return ops, err
}

// answer reads the out frame at ptr.
func (i *Instance) answer(b *k1.Batch, ptr, n uint32) ([]k1.Op, error) {
	if uint64(n) > i.kernel.Limits.Output {
		return nil, i.fail(CodeOutput, "answered with %d bytes, the limit is %d", n, i.kernel.Limits.Output)
	}
	frame, ok := i.module.Memory().Read(ptr, n)
	if !ok {
		return nil, i.fail(CodeBadFrame, "answered with %d bytes at %d, the memory has %d", n, ptr, i.module.Memory().Size())
	}
	ops, err := b.Decode(frame)
	var bad *k1.FrameError
	if errors.As(err, &bad) {
		return nil, i.fail(CodeBadFrame, "%s", bad.Error())
	}
	return ops, err
}

// Broken tells that the instance must not be used again.
func (i *Instance) Broken() bool { return i.broken }

// Fuel returns what the last call spent.
func (i *Instance) Fuel() int64 { return i.spent }

// Stderr returns the last of what the last call wrote.
func (i *Instance) Stderr() string { return i.stderr.tail() }

// Close frees the instance.
func (i *Instance) Close() { i.session.close() }
