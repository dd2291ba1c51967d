package pipeline

import (
	"fmt"
	"sync/atomic"
)

// Units of a budget.
const (
	UnitFuel = "fuel" // metered WASM work
	UnitIO   = "io"   // bytes moved in or out of kernels, pages, stores and destinations
)

// Budget limits what one item may spend, in non-negative integers. Spending is
// reserved before the work and settled after it, so that two stages can never
// spend the same unit twice. An item's children share its budget. The methods
// may be called from several goroutines; a nil *Budget has no limit.
type Budget struct {
	fuel, io unit
	parent   *Budget
}

type unit struct {
	limit int64 // 0: unlimited
	left  atomic.Int64
	spent atomic.Int64
}

// NewBudget returns a budget of so many units; 0 means unlimited, negative
// numbers are refused by the loader and count as 0 here.
func NewBudget(fuel, io int64) *Budget {
	b := new(Budget)
	b.fuel.fill(fuel)
	b.io.fill(io)
	return b
}

func (u *unit) fill(n int64) {
	u.limit = max(0, n)
	u.left.Store(u.limit)
}

// Limit returns a budget that spends from b, and of that at most so many units
// more; 0 leaves it to b. b may be nil. Its Spent counts only what was spent
// through it.
func (b *Budget) Limit(fuel, io int64) *Budget {
	sub := NewBudget(fuel, io)
	sub.parent = b
	return sub
}

func (b *Budget) unit(name string) *unit {
	if name == UnitFuel {
		return &b.fuel
	}
	return &b.io
}

// Reserve takes n units before the work that may spend them. It fails with a
// *Error of kind Permanent and code budget-exceeded when less is left.
func (b *Budget) Reserve(name string, n int64) error {
	if b == nil || n <= 0 {
		return nil
	}
	if err := b.parent.Reserve(name, n); err != nil {
		return err
	}
	u := b.unit(name)
	if u.limit == 0 {
		return nil
	}
	for {
		left := u.left.Load()
		if left < n {
			b.parent.Settle(name, n, 0)
			return &Error{Kind: Permanent, Code: "budget-exceeded",
				Err:  fmt.Errorf("budget exceeded: %s: %d wanted, %d of %d left", name, n, left, u.limit),
				Hint: "raise run.budget." + name + " or do less per item"}
		}
		if u.left.CompareAndSwap(left, left-n) {
			return nil
		}
	}
}

// Settle ends a reservation: spent units are charged, the rest is refunded.
// spent may not exceed reserved; the excess is charged all the same, so that
// the books stay true, and the next Reserve fails.
func (b *Budget) Settle(name string, reserved, spent int64) {
	if b == nil {
		return
	}
	b.parent.Settle(name, reserved, spent)
	u := b.unit(name)
	u.spent.Add(spent)
	if u.limit > 0 {
		u.left.Add(reserved - spent)
	}
}

// Spend charges n units at once, for work that is priced when it is done. It fails
// like Reserve, and then charges nothing.
func (b *Budget) Spend(name string, n int64) error {
	if err := b.Reserve(name, n); err != nil {
		return err
	}
	b.Settle(name, max(0, n), max(0, n))
	return nil
}

// Left returns how much may still be reserved and whether there is a limit.
func (b *Budget) Left(name string) (n int64, limited bool) {
	if b == nil {
		return 0, false
	}
	n, limited = b.parent.Left(name)
	if u := b.unit(name); u.limit > 0 {
		if left := u.left.Load(); !limited || left < n {
			n = left
		}
		limited = true
	}
	return n, limited
}

// Spent returns what has been charged so far.
func (b *Budget) Spent(name string) int64 {
	if b == nil {
		return 0
	}
	return b.unit(name).spent.Load()
}

// SpentAll returns what has been charged so far, by unit.
func (b *Budget) SpentAll() (fuel, io int64) {
	if b == nil {
		return 0, 0
	}
	return b.fuel.spent.Load(), b.io.spent.Load()
}
