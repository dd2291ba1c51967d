package host

import (
	"context"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// lane is what a kernel keeps for one lane: values by key, if they are granted,
// and an instance, if its memory is to live on. Calls of a lane do not overlap.
// A call that fails leaves no trace: not in the next call, and not in the halves
// of a batch that is bisected.
type lane struct {
	busy  chan struct{}     // a lock that a context can end waiting for
	state *capability.State // nil: not granted
	inst  *Instance
	saved *checkpoint // of the instance, after the last call that went well
	seq   uint64
}

// checkpoint is a lane's state between two calls.
type checkpoint struct {
	memory    []byte
	globals   []uint64
	in, inCap uint32
}

// enter waits for its turn in a lane; the caller leaves it.
func (p *Pool) enter(ctx context.Context, n int) (*lane, error) {
	p.mu.Lock()
	l, ok := p.lanes[n]
	if !ok {
		l = &lane{busy: make(chan struct{}, 1), state: p.kernel.Grants.NewState()}
		p.lanes[n] = l
	}
	p.mu.Unlock()
	select {
	case l.busy <- struct{}{}:
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *lane) leave() { <-l.busy }

// runLane sends records through the lane's own instance.
func (p *Pool) runLane(ctx context.Context, ops []k1.Op, n int, records []k1.Record, payers []*pipeline.Budget) ([]k1.Op, error) {
	l, err := p.enter(ctx, n)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	if err := l.ready(ctx, p.kernel); err != nil {
		return nil, err
	}
	l.inst.scratch.Seq = l.seq
	ops, err = l.inst.runRecords(ctx, ops, records, payers)
	if err != nil {
		l.undo()
		return nil, err
	}
	l.seq++
	l.state.Commit()
	l.saved.take(l.inst)
	return ops, nil
}

// runKeyed sends records through any instance, which gets the lane's values.
func (p *Pool) runKeyed(ctx context.Context, ops []k1.Op, n int, records []k1.Record, payers []*pipeline.Budget) ([]k1.Op, error) {
	l, err := p.enter(ctx, n)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	i, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	defer p.give(i)
	i.state = l.state
	if ops, err = i.runRecords(ctx, ops, records, payers); err != nil {
		l.state.Rollback()
		return nil, err
	}
	l.state.Commit()
	return ops, nil
}

// ready makes the instance, in the state of the last call that went well.
func (l *lane) ready(ctx context.Context, k *Kernel) error {
	if l.inst != nil {
		return nil
	}
	i, err := k.Start(ctx)
	if err != nil {
		return err
	}
	if l.saved == nil {
		l.saved = new(checkpoint)
		l.saved.take(i)
	} else if err := l.saved.put(i); err != nil {
		i.Close()
		return err
	}
	l.inst, i.state = i, l.state
	return nil
}

// undo takes back what a failed call did. An instance that cannot be put back is
// dropped; the next call makes another one.
func (l *lane) undo() {
	l.state.Rollback()
	if l.inst.spoiled || l.saved.put(l.inst) != nil {
		l.drop()
	}
}

func (l *lane) drop() {
	if l.inst != nil {
		l.inst.Close()
		l.inst = nil
	}
}

// take saves an instance's state.
func (c *checkpoint) take(i *Instance) {
	c.memory = append(c.memory[:0], i.memory.block.mem[:i.memory.size]...)
	c.globals = c.globals[:0]
	for _, g := range i.globals {
		c.globals = append(c.globals, g.Get())
	}
	c.in, c.inCap = i.in, i.inCap
}

// put gives an instance the saved state.
func (c *checkpoint) put(i *Instance) error {
	if err := i.resize(uint64(len(c.memory))); err != nil {
		return fmt.Errorf("restoring a lane: %w", err)
	}
	copy(i.memory.block.mem, c.memory)
	for n, g := range i.globals {
		g.Set(c.globals[n])
	}
	i.in, i.inCap, i.left = c.in, c.inCap, nothing
	return nil
}
