package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	// receipts are "id digest" in the order of emission; nil if nobody keeps
	// evidence.
	receipts []string
}

// ended books the end of the child of that index, and returns whether it was the
// last and what becomes of the parent.
func (k *family) ended(index int, it *pipeline.Item, v verdict) (last bool, worst verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.worst = worse(k.worst, v)
	k.left--
	if k.receipts != nil {
		k.receipts[index] = it.ID + " " + string(it.Receipt) + "\n"
	}
	return k.left == 0, k.worst
}

// dependency stands for the receipts of all children in that of their parent. It
// is one digest, or the receipt of a large family would not fit into a log: that
// of a line per child, in the order of emission, with the child's id, a space
// and its receipt's digest (nothing if it has none). Each child's own receipt
// names its parent.
func (k *family) dependency() pipeline.Dependency {
	return pipeline.Dependency{Name: "children", Digest: pipeline.DigestOf([]byte(strings.Join(k.receipts, ""))),
		Annotations: map[string]string{"count": strconv.Itoa(len(k.receipts))}}
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
	if len(e.committers) > 0 {
		own(f).kids.receipts = make([]string, len(kids))
	}
	e.stats.children.Add(int64(len(kids)))
	e.line.Fork(f)
	index := 0
	e.feed.Fork(f, f.At+1, kids, func(kid *sched.Flight) {
		j := own(kid)
		j.root, j.up, j.index = root, f, index
		index++
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
	f.Turn.Leave()
	v = e.commit(f, v)
	up := own(f).up
	k := &own(up).kids
	last, worst := k.ended(own(f).index, f.Item, v)
	e.feed.End(f, via, false)
	if !last {
		return
	}
	if k.receipts != nil && !worst.release {
		up.Item.DependOn(k.dependency())
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
