package runtime

import (
	"fmt"
	"slices"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

// family is the account of an item's children: how many are under way, and the
// worst that became of one. Children are not in the queue; what is decided
// about them is carried out on the claimed item when the last one has ended.
type family struct {
	mu    sync.Mutex
	left  int
	worst verdict
}

// fork lets a flight go on as the children that its item emitted. The flight
// must not be touched afterwards: its last child ends it, on any carrier.
func (e *engine) fork(f *sched.Flight, kids []*pipeline.Item) {
	root, parent := e.rootFlight(f), f.Item
	for i, it := range kids {
		if it.ID == "" {
			it.ID = fmt.Sprintf("%s/%d", parent.ID, i+1)
		}
		if it.Input == nil {
			it.Input = parent.Input
		}
		if it.Dependencies == nil {
			it.Dependencies = slices.Clone(parent.Dependencies)
		}
		it.Steps = append(make([]pipeline.StepRecord, 0, len(e.stages)), parent.Steps...)
	}
	own(f).kids = family{left: len(kids), worst: verdict{result: pipeline.Succeeded}}
	e.stats.children.Add(int64(len(kids)))
	e.line.Fork(f)
	e.feed.Fork(f, f.At+1, kids, func(kid *sched.Flight) {
		j := own(kid)
		j.root, j.up = root, f
	})
}

// root returns the journey of the claimed item that a flight descends from.
func (e *engine) root(f *sched.Flight) *journey { return own(e.rootFlight(f)) }

func (e *engine) rootFlight(f *sched.Flight) *sched.Flight {
	if r := own(f).root; r != nil {
		return r
	}
	return f
}

// childEnded books the end of a child; the last one ends its parent, on its own
// carrier.
func (e *engine) childEnded(f, via *sched.Flight, v verdict) {
	if v.result == pipeline.Dead || v.result == pipeline.Dropped {
		v = e.commit(f, v)
	}
	up := own(f).up
	f.Turn.Leave()
	e.feed.End(f, via, false)
	k := &own(up).kids
	k.mu.Lock()
	k.worst = worse(k.worst, v)
	k.left--
	last, worst := k.left == 0, k.worst
	k.mu.Unlock()
	if !last {
		return
	}
	if own(up).up != nil {
		e.childEnded(up, via, worst)
		return
	}
	e.settle(up, via, worst)
}

// worse merges what became of two children into what becomes of their parent:
// lost before dead before given back. Skipped and dropped children are fine.
func worse(a, b verdict) verdict {
	out := a
	switch {
	case a.lost || b.lost:
		if !a.lost {
			out = b
		}
	case a.result == pipeline.Dead || b.result == pipeline.Dead:
		if a.result != pipeline.Dead {
			out = b
		}
	case a.release && b.release:
		out.after, out.refund = max(a.after, b.after), a.refund && b.refund
		if a.refund && !b.refund {
			out.err = b.err
		}
	case b.release:
		out = b
	}
	out.stop = a.stop || b.stop
	return out
}
