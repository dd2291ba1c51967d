package samples

import (
	"context"
	"encoding/json"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// Record makes the record of a sample.
func Record(s *manifest.Sample) k1.Record {
	r := k1.Record{Key: []byte(s.Key), Value: s.Bytes(), Time: s.Time, Seed: s.Seed}
	if len(s.Meta) > 0 {
		r.Meta, _ = json.Marshal(s.Meta) // strings never fail
	}
	return r
}

// Runner runs records one after the other, as a pipeline does: all on the same
// instance, which the host puts back as the kernel's class of state says.
type Runner struct {
	kernel *host.Kernel
	ports  []string
	pool   *host.Pool // nil if the dialect takes one item at a time
}

// NewRunner returns a runner for a kernel with these ports. Its first record
// makes an instance. The caller closes the runner, then the kernel.
func NewRunner(k *host.Kernel, ports []string) *Runner {
	r := &Runner{kernel: k, ports: ports}
	if !k.OneByOne() {
		r.pool = host.NewPool(k, 1)
	}
	return r
}

// Close frees the instance.
func (r *Runner) Close() {
	if r.pool != nil {
		r.pool.Close()
	}
}

// Run runs one record. A kernel that traps, runs out of fuel or the like is an
// Answer with a Failure; the error is for the end of ctx.
func (r *Runner) Run(ctx context.Context, in k1.Record) (Answer, error) {
	purse := pipeline.NewBudget(0, 0) // unlimited: it only counts
	var ops []k1.Op
	var err error
	if r.pool == nil {
		var out host.CommandResult
		out, err = r.kernel.RunItem(ctx, in.Value, in.Time, in.Seed, purse)
		ops = []k1.Op{{Code: k1.Put, Value: out.Output}}
	} else {
		ops, err = r.pool.Run(ctx, nil, 0, []k1.Record{in}, purse)
	}
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	a := Answer{Fuel: purse.Spent(pipeline.UnitFuel), Failure: err}
	if err == nil {
		a.Want, a.Error = r.translate(ops)
	}
	return a, nil
}

// RunFresh runs one record on an instance of its own.
func RunFresh(ctx context.Context, k *host.Kernel, ports []string, in k1.Record) (Answer, error) {
	r := NewRunner(k, ports)
	defer r.Close()
	return r.Run(ctx, in)
}
