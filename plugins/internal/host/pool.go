package host

import (
	"context"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// Pool owns the instances of a kernel: at most so many, one per carrier that is
// inside, or one per lane for kernels that keep state. Idle instances are kept
// until Close, the warmest is given out first.
type Pool struct {
	kernel *Kernel
	slots  chan struct{}
	free   idle[*Instance]

	mu    sync.Mutex // for lanes
	lanes map[int]*lane
}

// NewPool returns an empty pool of at most size instances (1 if less).
func NewPool(k *Kernel, size int) *Pool {
	return &Pool{kernel: k, slots: make(chan struct{}, max(1, size)), lanes: make(map[int]*lane)}
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
	if i, ok := p.free.take(); ok {
		return i, nil
	}
	i, err := p.kernel.Start(ctx)
	if err != nil {
		<-p.slots
	}
	return i, err
}

func (p *Pool) give(i *Instance) {
	if i.Broken() {
		i.Close()
	} else {
		p.free.give(i)
	}
	<-p.slots
}

// Close frees the instances; nobody may be inside.
func (p *Pool) Close() {
	for i, ok := p.free.take(); ok; i, ok = p.free.take() {
		i.Close()
	}
	for _, l := range p.lanes {
		l.drop()
	}
}

// Run sends records through one instance, all in one call, and appends the
// answer to ops. It does not bisect. Lane is where the records stand, for
// kernels that keep state. The payers are none, or one for each record.
func (p *Pool) Run(ctx context.Context, ops []k1.Op, lane int, records []k1.Record, payers ...*pipeline.Budget) ([]k1.Op, error) {
	switch {
	case p.kernel.State == Lane:
		return p.runLane(ctx, ops, lane, records, payers)
	case p.kernel.Grants.State != nil:
		return p.runKeyed(ctx, ops, lane, records, payers)
	}
	i, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	defer p.give(i)
	return i.runRecords(ctx, ops, records, payers)
}

func (i *Instance) runRecords(ctx context.Context, ops []k1.Op, records []k1.Record, payers []*pipeline.Budget) ([]k1.Op, error) {
	defer func() { i.scratch.Records = nil }() // the instance outlives the items
	if err := i.scratch.Reset(records); err != nil {
		return nil, err
	}
	return i.Run(ctx, ops, &i.scratch, payers...)
}
