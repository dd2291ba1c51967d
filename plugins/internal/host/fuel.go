package host

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
)

const (
	// slice is the fuel that a guest gets at a time: about 0.1 ms of work.
	// Between slices it is in Go's hands, where the deadline is looked at and
	// the garbage collector and the scheduler get their turn.
	slice = 100_000
	// initFuel is what starting an instance may use, whatever the limit of a
	// call is: a language runtime takes some millions.
	initFuel = 1_000_000_000
	// hostCallUnits is what a call of a host function costs, logUnits what a
	// message that reaches the log costs more.
	hostCallUnits = 64
	logUnits      = 2000
)

// stop ends a guest from inside a host function; errors.As finds it in what the
// engine makes of the panic.
type stop struct {
	code  string // empty: ctx ended
	cause string
}

// Error is the cause.
func (s *stop) Error() string { return s.cause }

// tank pays for what a guest does between begin and end: it takes fuel from the
// limit and from the budgets of those for whom the guest works, in slices, and
// hands it to the guest's counter.
type tank struct {
	ctx      context.Context
	timeout  time.Duration
	timed    bool // deadline is set: not until the first slice is used up, so that short calls read no clock
	deadline time.Time
	limit    int64
	payers   []*pipeline.Budget

	counter api.MutableGlobal // nil until the module is instantiated
	rest    int64             // what the last call left in it
	used    int64             // taken, whether spent by the guest yet or not
	pending int64             // spent by host functions and not taken yet
	share   int64             // reserved from each payer
}

// begin starts an account. payers share what is spent in equal parts; several
// pay for a call that went well only.
func (t *tank) begin(ctx context.Context, timeout time.Duration, limit int64, payers []*pipeline.Budget) {
	if limit == 0 {
		limit = math.MaxInt64
	}
	t.ctx, t.timeout, t.timed, t.limit = ctx, timeout, false, limit
	t.used, t.pending, t.share = 0, 0, 0
	if len(payers) > 0 || len(t.payers) > 0 {
		t.payers = append(t.payers[:0], payers...)
	}
	// What the last call left in the counter is as good as a new slice, if it is
	// not little: to set it costs as much as a short guest.
	if rest := t.rest; rest >= slice/2 && rest <= limit && len(t.payers) == 0 {
		t.used = rest
		return
	}
	t.fill()
}

// fill gives the guest its first slice.
func (t *tank) fill() {
	if t.counter == nil {
		return
	}
	n := t.rest
	if n < slice/2 {
		n = slice
	}
	if n = t.upTo(n); n != t.rest {
		t.counter.Set(uint64(n))
	}
}

// end closes the account and returns what was spent. ok tells that the call
// came back whole; one that did not is charged at most what it had taken.
func (t *tank) end(ok bool) (spent int64, err *stop) {
	left := t.left()
	t.rest = left + t.pending // what is in the counter
	switch {
	case left >= 0:
	case ok:
		err = t.take(-left)
	default:
		t.upTo(-left)
	}
	spent = t.used - max(0, left)
	if len(t.payers) > 0 {
		t.settle(spent, ok && err == nil)
	}
	return spent, err
}

// settle ends the payers' reservations.
func (t *tank) settle(spent int64, ok bool) {
	bill, count := spent, int64(len(t.payers))
	if count > 1 && !ok {
		bill = 0 // one of them spoiled it for all, and pays when it is found
	}
	for i, p := range t.payers {
		part := bill / count
		if int64(i) < bill%count {
			part++
		}
		p.Settle(pipeline.UnitFuel, t.share, part)
	}
}

// left is what the guest has in its counter, less what host functions did.
func (t *tank) left() int64 {
	if t.counter == nil {
		return -t.pending
	}
	return int64(t.counter.Get()) - t.pending
}

// refuel is what the guest calls when its counter has run below zero: it pays
// the debt and fills the counter again.
func (t *tank) refuel(left int64) (int64, *stop) {
	if err := t.interrupted(); err != nil {
		return 0, err
	}
	if err := t.take(t.pending - left); err != nil {
		return 0, err
	}
	t.pending = 0
	return t.upTo(slice), nil
}

// charge pays for work that a host function does for the guest.
func (t *tank) charge(units int64) {
	if t.pending += units; t.pending < slice {
		return
	}
	left := t.left()
	err := t.interrupted()
	if err == nil && left < 0 {
		err = t.take(-left)
		left = 0
	}
	if err != nil {
		panic(err)
	}
	t.pending = 0
	if t.counter != nil {
		t.counter.Set(uint64(left))
	}
}

// interrupted looks at the caller's context and at the clock.
func (t *tank) interrupted() *stop {
	if t.ctx.Err() != nil {
		return &stop{}
	}
	switch now := time.Now(); {
	case !t.timed:
		t.timed, t.deadline = true, now.Add(t.timeout)
	case now.After(t.deadline):
		return &stop{CodeTimeout, fmt.Sprintf("ran longer than %s and was stopped", t.timeout)}
	}
	return nil
}

// take takes n units, or fails and takes all that is left: a call that runs out
// of fuel has spent exactly what it was given, on every machine.
func (t *tank) take(n int64) *stop {
	if t.upTo(n) == n {
		return nil
	}
	if t.used == t.limit {
		return &stop{CodeFuel, fmt.Sprintf("used up its fuel, %d units", t.limit)}
	}
	return &stop{CodeBudget, fmt.Sprintf("used up the item's fuel budget after %d units", t.used)}
}

// upTo takes at most n units.
func (t *tank) upTo(n int64) int64 {
	n = min(n, t.limit-t.used)
	if len(t.payers) > 0 {
		t.reserve(n)
		n = min(n, t.share*int64(len(t.payers))-t.used)
	}
	t.used += n
	return n
}

// reserve makes the payers cover n units more, as far as all of them can.
func (t *tank) reserve(n int64) {
	count := int64(len(t.payers))
	more := (t.used + n - t.share*count + count - 1) / count
	for _, p := range t.payers {
		if left, limited := p.Left(pipeline.UnitFuel); limited {
			more = min(more, left)
		}
	}
	if more <= 0 {
		return
	}
	for i, p := range t.payers {
		if p.Reserve(pipeline.UnitFuel, more) == nil {
			continue
		}
		for _, paid := range t.payers[:i] { // somebody else was faster
			paid.Settle(pipeline.UnitFuel, more, 0)
		}
		return
	}
	t.share += more
}

// yield is what metered guests call when their slice is used up.
func yield(ctx context.Context, stack []uint64) {
	s, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		panic(fmt.Errorf("%s called outside of a call", meter.ImportYield))
	}
	left, err := s.tank.refuel(int64(stack[0]))
	if err != nil {
		panic(err)
	}
	stack[0] = uint64(left)
}

// instantiateMeter adds the host module that metered guests call.
func instantiateMeter(ctx context.Context, r wazero.Runtime) error {
	i64 := []api.ValueType{api.ValueTypeI64}
	_, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(yield), i64, i64).Export(meter.ImportYield).Instantiate(ctx)
	return err
}
