package host

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// Instance is one running k1 kernel. It belongs to one caller at a time.
type Instance struct {
	*session
	run, buffer api.Function
	in, inCap   uint32   // the input buffer
	scratch     k1.Batch // for the pool
	left        traces
	first       shape // after its start, or after its buffer was made larger
}

// shape is what a call can change of an instance without the kernel's doing
// anything that it promised not to: memory that grew, a larger input buffer. The
// next call would spend less fuel for it.
type shape struct {
	memory    uint64
	in, inCap uint32
}

func (i *Instance) shape() shape { return shape{i.memory.size, i.in, i.inCap} }

// traces is what the last call left in an instance.
type traces byte

const (
	nothing traces = iota // it is as it was after its start
	used
	failed // and may not have come back whole
)

// Run gives the kernel one batch and appends its answer to ops. Its fuel is
// shared equally by the payers, one per record, or nobody's if there are none.
// An instance that cannot be used again afterwards is Broken.
func (i *Instance) Run(ctx context.Context, ops []k1.Op, b *k1.Batch, payers ...*pipeline.Budget) ([]k1.Op, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("kernel %s: %w", i.kernel.Name, err)
	}
	if i.stale() {
		if err := i.renew(); err != nil {
			return nil, err
		}
	}
	if b.Size() > i.inCap {
		if err := i.room(ctx, b.Size()); err != nil {
			return nil, err
		}
	}
	i.begin(ctx, i.kernel.Limits.Timeout, i.kernel.Limits.Fuel, payers)
	i.left = failed
	ops, err := i.batch(ops, b)
	if err = i.settle(err); err != nil {
		return nil, err
	}
	i.left = used
	i.commit()
	return ops, nil
}

// room makes the input buffer larger. It is the host that wants it, so nobody
// pays, and a reused instance is the better for it: what a call costs does not
// depend on whether an earlier one needed the room.
func (i *Instance) room(ctx context.Context, n uint32) error {
	fuel := i.kernel.Limits.Fuel
	if fuel == 0 {
		fuel = initFuel
	}
	i.begin(ctx, i.kernel.Limits.Timeout, min(fuel, initFuel), nil)
	before := i.left
	i.left = failed
	if err := i.settle(i.reserve(n)); err != nil {
		return err
	}
	i.left, i.first = before, i.shape()
	return nil
}

// stale tells that the instance must be put back before the next call.
func (i *Instance) stale() bool {
	switch {
	case i.left == used && i.kernel.Reuse:
		return i.shape() != i.first
	case i.left == used && i.kernel.State == Lane:
		return false
	}
	return i.left != nothing
}

// renew puts the instance back to its kernel's image.
func (i *Instance) renew() error {
	img := i.kernel.image
	if !i.restorable(img) {
		return fmt.Errorf("kernel %s: a broken instance was called again", i.kernel.Name)
	}
	if err := i.restore(img); err != nil {
		i.spoiled = true
		return fmt.Errorf("kernel %s: putting an instance back: %w", i.kernel.Name, err)
	}
	i.in, i.inCap, i.left = img.in, img.inCap, nothing
	i.first = i.shape()
	return nil
}

// Broken tells that the instance must not be used again.
func (i *Instance) Broken() bool { return i.stale() && !i.restorable(i.kernel.image) }

func (i *Instance) batch(ops []k1.Op, b *k1.Batch) ([]k1.Op, error) {
	if len(b.Records) > 0 {
		i.world.Set(b.Records[0].Time, b.Records[0].Seed)
	}
	frame, ok := i.memory.view(i.in, b.Size())
	if !ok {
		return nil, i.fail(CodeBadFrame, "its input buffer left its memory")
	}
	b.Ports = i.kernel.Ports
	b.Encode(frame)
	i.stack[0], i.stack[1] = uint64(i.in), uint64(b.Size())
	if err := i.run.CallWithStack(&i.context, i.stack[:]); err != nil {
		return nil, i.failure(err)
	}
	packed := i.stack[0]
	if int64(packed) < 0 {
		return nil, i.fail(CodeError, "failed with code %d", int64(packed))
	}
	return i.answer(ops, b, uint32(packed>>32), uint32(packed))
}

// answer reads the out frame at ptr.
func (i *Instance) answer(ops []k1.Op, b *k1.Batch, ptr, n uint32) ([]k1.Op, error) {
	if uint64(n) > i.kernel.Limits.Output {
		return nil, i.fail(CodeOutput, "answered with %d bytes, the limit is %d", n, i.kernel.Limits.Output)
	}
	frame, ok := i.memory.view(ptr, n)
	if !ok {
		return nil, i.fail(CodeBadFrame, "answered with %d bytes at %d, the memory has %d", n, ptr, i.memory.size)
	}
	ops, err := b.Decode(ops, frame)
	if err != nil {
		return nil, i.fail(CodeBadFrame, "%s", err.Error())
	}
	return ops, nil
}

// reserve makes the input buffer hold at least n bytes.
func (i *Instance) reserve(n uint32) error {
	ptr, err := i.call(i.buffer, uint64(n))
	if err != nil {
		return err
	}
	at := uint32(ptr)
	switch {
	case at == 0:
		return i.fail(CodeMemory, "has no room for %d bytes of input within %d bytes of memory", n, i.memory.limit)
	case at%16 != 0:
		return i.fail(CodeBadFrame, "k1_buffer answered %d, which is not a multiple of 16", at)
	case uint64(at)+uint64(n) > i.memory.size:
		return i.fail(CodeBadFrame, "k1_buffer answered %d for %d bytes, the memory has %d", at, n, i.memory.size)
	}
	i.in, i.inCap = at, n
	return nil
}

// Fuel returns what the last call spent.
func (i *Instance) Fuel() int64 { return i.spent }

// Stderr returns the last of what the last call wrote.
func (i *Instance) Stderr() string { return i.stderr.tail() }

// Close frees the instance.
func (i *Instance) Close() { i.session.close() }
