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
// state before it, which a failed call does not change. A large batch takes
// several calls, which fail each for itself. Records of an isolated kernel have a
// call each, and so have those of one that may send requests: nobody could take
// back what the others of a failed batch have sent. The end of ctx is nobody's
// poison and fails all that is left. Lane and payers are those of Run; a batch
// that fails is nobody's bill, so that the poison cannot use up what the others
// have.
func (p *Pool) RunAll(ctx context.Context, lane int, records []k1.Record, payers ...*pipeline.Budget) []Outcome {
	b := bisection{ctx: ctx, pool: p, lane: lane}
	out := make([]Outcome, len(records))
	for from, to := 0, 0; from < len(records); from = to {
		to = from + p.together(records[from:])
		b.run(records[from:to], payers[min(from, len(payers)):min(to, len(payers))], out[from:to])
	}
	return out
}

// together is how many of the records, from the first on, share a call.
func (p *Pool) together(records []k1.Record) int {
	if p.kernel.State == Isolated || p.kernel.Grants.HTTP != nil {
		return 1
	}
	return cut(records)
}

// maxTogether is how many bytes of several records share a call. What a call
// itself costs is nothing beside so many, while input, answer and the copy of it
// still lie in the processor's cache: the map of `make bench` took 1.6 times as
// long for a record of 64 KiB in a frame of 4 MiB (BenchmarkKernel/k1/map).
const maxTogether = 128 << 10

// cut is how many records fill a frame: one at least. It depends on the records
// alone, so that their fuel is the same everywhere.
func cut(records []k1.Record) int {
	size := 0
	for n := range records {
		r := &records[n]
		if size += len(r.Key) + len(r.Meta) + len(r.Value); size > maxTogether && n > 0 {
			return n
		}
	}
	return len(records)
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
