package host

import (
	"context"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// Pool owns the instances of a kernel: at most so many, one per carrier that is
// inside. Idle instances are kept until Close, the warmest is given out first.
type Pool struct {
	kernel *Kernel
	slots  chan struct{}

	mu   sync.Mutex
	free []*Instance
}

// NewPool returns an empty pool of at most size instances (1 if less).
func NewPool(k *Kernel, size int) *Pool {
	return &Pool{kernel: k, slots: make(chan struct{}, max(1, size))}
}

// Warm makes the first instance, so that a kernel that cannot start is known
// before there is work for it.
func (p *Pool) Warm(ctx context.Context) error {
	i, err := p.take(ctx)
	if err != nil {
		return err
	}
	p.give(i)
	return nil
}

// take returns an instance that the caller gives back.
func (p *Pool) take(ctx context.Context) (*Instance, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if i := p.pop(); i != nil {
		return i, nil
	}
	i, err := p.kernel.Start(ctx)
	if err != nil {
		<-p.slots
	}
	return i, err
}

func (p *Pool) pop() *Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return nil
	}
	i := p.free[n-1]
	p.free = p.free[:n-1]
	return i
}

func (p *Pool) give(i *Instance) {
	if i.Broken() {
		i.Close()
	} else {
		p.mu.Lock()
		p.free = append(p.free, i)
		p.mu.Unlock()
	}
	<-p.slots
}

// Close frees the idle instances; nobody may be inside.
func (p *Pool) Close() {
	for i := p.pop(); i != nil; i = p.pop() {
		i.Close()
	}
}

// Run sends records through one instance, all in one call. It does not bisect.
// The payers are none, or one for each record.
func (p *Pool) Run(ctx context.Context, records []k1.Record, payers ...*pipeline.Budget) ([]k1.Op, error) {
	b, err := k1.NewBatch(records)
	if err != nil {
		return nil, err
	}
	i, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	defer p.give(i)
	return i.Run(ctx, b, payers...)
}
