package runtime

import "github.com/waybill-dev/waybill/pipeline"

// charged is the account of one stage call: what the item had spent before, and
// the budget to put back after it.
type charged struct {
	whole    *pipeline.Budget
	sub      bool
	fuel, io int64
}

// charge opens the account of one call. A stage with a budget of its own, and a
// child, whose budget its siblings spend from at the same time, get one that
// counts by itself.
func (e *engine) charge(s *stage, it *pipeline.Item) charged {
	c := charged{whole: it.Budget}
	if limits := s.plan.Budget; limits != (pipeline.BudgetConfig{}) || it.Parent != nil {
		it.Budget = it.Budget.Limit(int64(limits.Fuel), int64(limits.IO))
		c.sub = true
		return c
	}
	c.fuel, c.io = it.Budget.SpentAll()
	return c
}

// settle closes the account and returns what the call spent, nil for nothing.
func (c charged) settle(it *pipeline.Item) map[string]int64 {
	fuel, io := it.Budget.SpentAll()
	fuel, io = fuel-c.fuel, io-c.io
	if c.sub {
		it.Budget = c.whole
	}
	if fuel == 0 && io == 0 {
		return nil
	}
	out := make(map[string]int64, 2)
	if fuel != 0 {
		out[pipeline.UnitFuel] = fuel
	}
	if io != 0 {
		out[pipeline.UnitIO] = io
	}
	return out
}
