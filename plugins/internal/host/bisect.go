package host

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// Outcome is what became of one record: its operations in the kernel's order
// (none: the kernel dropped it), or an error.
type Outcome struct {
	Ops []k1.Op
	Err error
}

// RunAll sends a batch and finds the records that make it fail: a failed batch
// is halved until the poison stands alone, in log2(n) further calls for each.
// That is sound because a kernel's answer is a function of its frame and of the
// state before it, which a failed call does not change. Records of an isolated
// kernel have a call each, and so have those of one that may send requests: nobody
// could take back what the others of a failed batch have sent. The end of ctx is
// nobody's poison and fails all that is left. Lane and payers are those of Run; a
// batch that fails is nobody's bill, so that the poison cannot use up what the
// others have.
func (p *Pool) RunAll(ctx context.Context, lane int, records []k1.Record, payers ...*pipeline.Budget) []Outcome {
	b := bisection{ctx: ctx, pool: p, lane: lane}
	out := make([]Outcome, len(records))
	if p.kernel.State != Isolated && p.kernel.Grants.HTTP == nil {
		b.run(records, payers, out)
		return out
	}
	for i := range records {
		b.run(records[i:i+1], payers[min(i, len(payers)):min(i+1, len(payers))], out[i:i+1])
	}
	return out
}

// bisection is one RunAll.
type bisection struct {
	ctx  context.Context
	pool *Pool
	lane int
}

func (b *bisection) run(records []k1.Record, payers []*pipeline.Budget, out []Outcome) {
	ops, err := b.pool.Run(b.ctx, nil, b.lane, records, payers...)
	switch {
	case err == nil:
		for _, op := range ops {
			out[op.Source].Ops = append(out[op.Source].Ops, op)
		}
	case len(records) > 1 && b.ctx.Err() == nil:
		half := len(records) / 2
		split := min(half, len(payers))
		b.run(records[:half], payers[:split], out[:half])
		b.run(records[half:], payers[split:], out[half:])
	default:
		for i := range out {
			out[i].Err = err
		}
	}
}
