package runtime

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// codeLimited is the code of items that a limit kept waiting for too long.
const codeLimited = "limited"

// leastPatience is how long an item waits at least for a limit that others may
// not need.
const leastPatience = time.Second

// await waits until the stage's limit lets the item in, and returns the context
// of the call, which ends too when the permit is lost.
func (e *engine) await(ctx context.Context, s *stage, f *sched.Flight) (context.Context, error) {
	entry := cluster.Entry{Patience: e.patience(s, f), Waits: func() func() {
		f.Waited = true
		e.quiet.Block()
		return func() { e.quiet.Unblock(1) }
	}}
	if per := s.plan.Limit.Per; !per.IsZero() {
		var err error
		if entry.Key, err = per.Text(f.Item); err != nil {
			return nil, e.blame(err, s.plan, f.Item)
		}
	}
	pass, err := s.limit.Enter(ctx, entry)
	if errors.Is(err, cluster.ErrBusy) {
		s.meter.Refused(codeLimited)
		limited := &pipeline.Error{Kind: pipeline.Unavailable, Code: codeLimited, Err: err}
		if busy := new(cluster.BusyError); errors.As(err, &busy) {
			limited.After = busy.After
		}
		err = limited
	}
	if err != nil {
		return nil, e.blame(err, s.plan, f.Item)
	}
	own(f).call.pass = pass
	return pass.Ctx, nil
}

// patience is how long an item waits for a limit; 0 is any time. If all items
// come to it, giving one back would only send it round. If not, another item may
// need no such permit, and the carrier is better used for that one: then an item
// waits as long as has been spent on it, so that giving it back wastes at most as
// much as waiting did.
func (e *engine) patience(s *stage, f *sched.Flight) time.Duration {
	if s.plan.Limit.Per.IsZero() && s.plan.When == nil {
		return 0
	}
	spent := time.Duration(0)
	if j := e.root(f); j.timed {
		spent = e.now() - j.start
	}
	return max(leastPatience, spent)
}

// limitWait is how long an item stays away that a limit had no room for n times in
// a row before: 1 s, doubled up to 30 s, half of it jittered.
func limitWait(n int) time.Duration {
	d := min(30*time.Second, time.Second<<min(n, 5))
	return d/2 + rand.N(d/2+1)
}

// withPermits returns a context for a batch that ends too when a permit of one of its
// items is lost. An item whose own context ends is waited for: the stage has it.
func withPermits(ctx context.Context, flights []*sched.Flight) (batch context.Context, stop func()) {
	if own(flights[0]).call.pass == nil {
		return ctx, func() {}
	}
	batch, cancel := context.WithCancelCause(ctx)
	stops := make([]func() bool, len(flights))
	for i, f := range flights {
		pass := own(f).call.pass
		stops[i] = context.AfterFunc(pass.Ctx, func() {
			if cause := context.Cause(pass.Ctx); errors.Is(cause, cluster.ErrPermitLost) {
				cancel(cause)
			}
		})
	}
	return batch, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}

// ousted names the loss of a permit as the cause of an error under it.
func ousted(ctx context.Context, err error) error {
	if err == nil || decided(err) || !errors.Is(context.Cause(ctx), cluster.ErrPermitLost) {
		return err
	}
	return &pipeline.Error{Kind: pipeline.Unavailable, Code: "permit-lost", Err: cluster.ErrPermitLost}
}
