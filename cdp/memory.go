package cdp

import (
	"fmt"
	"time"
)

// memoryEvery is how often memory is looked at. The kernel walks the page tables
// of every process for it, which costs about as much as a page does.
const memoryEvery = 30 * time.Second

// watchMemory looks at the memory of the browsers as long as the pool lives.
func (p *Pool) watchMemory() {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for shut := false; ; {
		select {
		case <-p.life.Done():
			return
		case <-tick.C:
			shut = p.checkMemory(shut)
		}
	}
}

// checkMemory lets browsers retire that use too much. When all together do, no
// session is opened until a tenth of the budget is free again; shut says whether
// it is so already, and the result whether it is so now.
func (p *Pool) checkMemory(shut bool) bool {
	var sum int64
	for _, b := range p.browsers() {
		used := groupMemory(b.host.pid())
		b.memory.Store(used)
		sum += used
		if used > p.opts.MaxMemory {
			b.tire(fmt.Sprintf("it uses %d MiB of memory", used>>20))
		}
	}
	p.retireTired()
	now := tooFull(shut, sum, p.opts.Memory)
	if now != shut {
		p.gate.setShut(now)
		p.opts.Log.Warn("memory of browsers", "mib", sum>>20, "budget_mib", p.opts.Memory>>20, "new_sessions_wait", now)
	}
	return now
}

// retireTired makes room for successors of the browsers that take no more
// sessions, so that one that nobody asks for does not stay.
func (p *Pool) retireTired() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sl := range p.slots {
		if b := sl.browser; b != nil && b.wornOut() && p.life.Err() == nil {
			sl.browser = nil
			p.background.Go(func() { p.retire(b) })
		}
	}
}

// tooFull says whether newcomers wait, given whether they do so already.
func tooFull(shut bool, used, budget int64) bool {
	switch {
	case budget <= 0: // not known
		return false
	case shut:
		return used > budget/10*9
	}
	return used > budget
}

// Stats is what a pool does at this moment.
type Stats struct {
	Browsers int   // that run
	Open     int   // sessions in use
	Waiting  int   // callers that wait for a session
	Parked   int   // pages that wait for their next use
	Memory   int64 // bytes that the browsers used when last looked at (PSS)
}

// Stats looks at the pool.
func (p *Pool) Stats() (st Stats) {
	for _, b := range p.browsers() {
		if b.alive() {
			st.Browsers++
			st.Memory += b.memory.Load()
		}
	}
	p.mu.Lock()
	for _, list := range p.parked {
		st.Parked += len(list)
	}
	p.mu.Unlock()
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	st.Open, st.Waiting = p.gate.held, p.gate.waiting
	return st
}
