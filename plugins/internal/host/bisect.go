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
// That is sound because a kernel's answer is a function of its frame. The end
// of ctx is nobody's poison and fails all that is left. The payers are none, or
// one for each record; a record pays its share of each call that it was in.
func (p *Pool) RunAll(ctx context.Context, records []k1.Record, payers ...*pipeline.Budget) []Outcome {
	out := make([]Outcome, len(records))
	p.bisect(ctx, records, payers, out)
	return out
}

func (p *Pool) bisect(ctx context.Context, records []k1.Record, payers []*pipeline.Budget, out []Outcome) {
	ops, err := p.Run(ctx, records, payers...)
	switch {
	case err == nil:
		for _, op := range ops {
			out[op.Source].Ops = append(out[op.Source].Ops, op)
		}
	case len(records) > 1 && ctx.Err() == nil:
		half := len(records) / 2
		split := min(half, len(payers))
		p.bisect(ctx, records[:half], payers[:split], out[:half])
		p.bisect(ctx, records[half:], payers[split:], out[half:])
	default:
		for i := range out {
			out[i].Err = err
		}
	}
}
