package host

import (
	"context"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// firstBuffer is the input buffer that an instance is asked for at its start, so
// that most batches need no further call. Much more makes every restore slower:
// with 128 KiB one took 13 us where it takes 4 (BenchmarkKernel/fresh).
const firstBuffer = 16 << 10

// Start makes an instance.
func (k *Kernel) Start(ctx context.Context) (*Instance, error) {
	i, err := k.make(ctx)
	if err == nil {
		i.first = i.shape()
	}
	return i, err
}

// make lets the first instance go through its start and keeps its image; later
// ones are copies of it.
func (k *Kernel) make(ctx context.Context) (*Instance, error) {
	if k.fixed != "" {
		return k.fresh(ctx)
	}
	k.starting.Lock()
	defer k.starting.Unlock()
	if k.image != nil {
		return k.clone(ctx)
	}
	i, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if k.image, err = i.keep(ctx); err != nil {
		i.Close()
		return nil, err
	}
	if i.Broken() {
		i.Close()
		return k.clone(ctx)
	}
	return i, nil
}

// instantiate makes an instance that has not been called.
func (k *Kernel) instantiate(ctx context.Context) (*Instance, error) {
	s, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	return &Instance{session: s, run: s.module.ExportedFunction("k1_run"), buffer: s.module.ExportedFunction("k1_buffer")}, nil
}

// fresh makes an instance by its start and, if there is one, the warm-up record.
func (k *Kernel) fresh(ctx context.Context) (*Instance, error) {
	i, err := k.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	if err = i.settle(i.start()); err == nil && k.Warmup != nil {
		err = i.warm(ctx)
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// clone makes an instance from the image. Only the start section runs again.
func (k *Kernel) clone(ctx context.Context) (*Instance, error) {
	i, err := k.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	if err = i.settle(nil); err == nil {
		err = i.restore(k.image)
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	i.in, i.inCap = k.image.in, k.image.inCap
	return i, nil
}

// start configures the instance: _initialize, k1_abi, k1_buffer, k1_init.
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
	buffer, ok := i.memory.view(i.in, uint32(len(config)))
	if !ok {
		return i.fail(CodeBadFrame, "its input buffer left its memory")
	}
	copy(buffer, config)
	code, err := i.call(i.module.ExportedFunction("k1_init"), uint64(i.in), uint64(len(config)))
	if err != nil {
		return err
	}
	if int64(code) < 0 {
		return i.fail(CodeInit, "refused its configuration (code %d)", int64(code))
	}
	return nil
}

// warm runs the warm-up record on a start's account, whatever its answer is.
func (i *Instance) warm(ctx context.Context) error {
	b, err := k1.NewBatch([]k1.Record{*i.kernel.Warmup})
	if err != nil {
		return err
	}
	i.warming = true
	defer func() { i.warming = false }()
	i.begin(ctx, max(initTime, i.kernel.Limits.Timeout), initFuel, nil)
	if b.Size() > i.inCap {
		err = i.reserve(b.Size())
	}
	if err == nil {
		_, err = i.batch(nil, b)
	}
	return i.settle(err)
}

// keep takes the image of a started instance and, with a warm-up record, finds
// out how it is restored faster.
func (i *Instance) keep(ctx context.Context) (*image, error) {
	img, err := i.snapshot()
	if err != nil {
		return nil, err
	}
	img.in, img.inCap = i.in, i.inCap
	if i.kernel.Warmup != nil {
		if err = i.faster(img, func() error { return i.warm(ctx) }); err == nil && i.restorable(img) {
			err = i.restore(img)
		} else if err == nil {
			i.left = failed // it grew and cannot go back
		}
	}
	if err != nil {
		img.pages.close()
		return nil, err
	}
	return img, nil
}
