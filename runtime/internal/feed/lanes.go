package feed

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/sched"
)

const (
	warmWindow = 16 // how far a carrier looks for a key that it has warm
	oldestTurn = 8  // every so many, priority lanes give the oldest
)

// lanes are the claimed flights that no carrier has taken yet. There are never
// more of them than carriers, so plain scans are the fast way.
type lanes struct {
	dist    pipeline.Distributor
	queue   [][]*sched.Flight // by lane, oldest first
	load    []int             // waiting and running, by lane
	running map[laneKey]bool
	waiting int
	byPrio  bool
}

type laneKey struct {
	lane int
	key  string
}

func newLanes(d pipeline.Distributor) lanes {
	n := 1
	l := lanes{dist: d, running: make(map[laneKey]bool)}
	if d != nil {
		n = max(1, d.Lanes())
		l.byPrio = d.ByPriority()
	}
	l.queue = make([][]*sched.Flight, n)
	l.load = make([]int, n)
	return l
}

// place puts a flight into its lane. A flight that no lane can be found for
// carries the error in lane 0, to be failed by its carrier.
func (l *lanes) place(f *sched.Flight) {
	if l.dist != nil {
		p, err := l.ask(f.Item)
		switch {
		case err != nil:
			f.Err = err
		case p.Lane < 0 || p.Lane >= len(l.queue):
			f.Err = pipeline.Fail("lane", "lane %d of %d", p.Lane, len(l.queue))
		default:
			f.Lane, f.Key = p.Lane, p.Key
			f.Item.Lane = p.Lane
		}
	}
	queue := &l.queue[f.Lane]
	*queue = append(*queue, f)
	l.load[f.Lane]++
	l.waiting++
}

func (l *lanes) ask(it *pipeline.Item) (p pipeline.Placement, err error) {
	defer sched.Catch(&err)
	return l.dist.Place(it, l.load)
}

// end frees what a running flight held.
func (l *lanes) end(f *sched.Flight) {
	l.load[f.Lane]--
	if f.Key != "" {
		delete(l.running, laneKey{f.Lane, f.Key})
	}
}

// free reports whether a flight may run now.
func (l *lanes) free(f *sched.Flight) bool {
	return f.Key == "" || !l.running[laneKey{f.Lane, f.Key}]
}

// take removes the i-th flight of a lane to run it.
func (l *lanes) take(lane, i int) *sched.Flight {
	q := l.queue[lane]
	f := q[i]
	copy(q[i:], q[i+1:])
	q[len(q)-1] = nil
	l.queue[lane] = q[:len(q)-1]
	l.waiting--
	if f.Key != "" {
		l.running[laneKey{f.Lane, f.Key}] = true
	}
	return f
}

// clear empties all lanes and returns what was in them.
func (l *lanes) clear() []*sched.Flight {
	var out []*sched.Flight
	for i := range l.queue {
		out = append(out, l.queue[i]...)
		l.queue[i] = nil
	}
	l.waiting = 0
	return out
}

// pick chooses the next flight for a carrier, or nil.
func (q *Feed) pick(c *carrier) *sched.Flight {
	if q.Order != nil {
		return q.pickOldest()
	}
	if len(q.kids) > 0 {
		return q.takeKid(0)
	}
	if q.lanes.waiting == 0 {
		return nil
	}
	for lane := c.index % len(q.lanes.queue); lane < len(q.lanes.queue); lane += q.Carriers {
		if i := q.lanes.choose(lane, c); i >= 0 {
			c.taken++
			f := q.lanes.take(lane, i)
			c.warm = f.Key
			return f
		}
	}
	return q.steal(c)
}

// choose returns the index of the flight that a carrier of this lane takes.
func (l *lanes) choose(lane int, c *carrier) int {
	best, looked := -1, 0
	for i, f := range l.queue[lane] {
		if !l.free(f) {
			continue
		}
		if best < 0 {
			best = i
			if l.byPrio && c.taken%oldestTurn == oldestTurn-1 {
				return i
			}
		}
		if l.byPrio {
			if f.Item.Priority > l.queue[lane][best].Item.Priority {
				best = i
			}
			continue
		}
		if looked++; c.warm == "" || looked > warmWindow {
			break
		}
		if f.Key == c.warm {
			return i
		}
	}
	return best
}

// steal takes the oldest flight that may run of the longest lane.
func (q *Feed) steal(c *carrier) *sched.Flight {
	lane, at, longest := -1, -1, 0
	for l := range q.lanes.queue {
		if n := len(q.lanes.queue[l]); n > longest {
			if i := q.lanes.first(l); i >= 0 {
				lane, at, longest = l, i, n
			}
		}
	}
	if lane < 0 {
		return nil
	}
	f := q.lanes.take(lane, at)
	c.warm = f.Key
	return f
}

// first returns the index of the oldest flight of a lane that may run.
func (l *lanes) first(lane int) int {
	for i, f := range l.queue[lane] {
		if l.free(f) {
			return i
		}
	}
	return -1
}

// pickOldest is for pipelines that keep the order of the claims: whoever is
// first in it runs first, or carriers could fill up with flights that wait for
// one that no carrier is left for.
func (q *Feed) pickOldest() *sched.Flight {
	var best *sched.Flight
	lane, at := -1, -1
	for i, f := range q.kids {
		if best == nil || f.Turn.Before(&best.Turn) {
			best, at = f, i
		}
	}
	for l := range q.lanes.queue {
		if i := q.lanes.first(l); i >= 0 {
			if f := q.lanes.queue[l][i]; best == nil || f.Turn.Before(&best.Turn) {
				best, lane, at = f, l, i
			}
		}
	}
	switch {
	case best == nil:
		return nil
	case lane < 0:
		return q.takeKid(at)
	}
	return q.lanes.take(lane, at)
}

func (q *Feed) takeKid(i int) *sched.Flight {
	f := q.kids[i]
	copy(q.kids[i:], q.kids[i+1:])
	q.kids[len(q.kids)-1] = nil
	q.kids = q.kids[:len(q.kids)-1]
	return f
}
