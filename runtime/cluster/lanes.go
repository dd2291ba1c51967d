package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// shareTries is how often a table is read anew when others write to it at the
// same time.
const shareTries = 4

// table says which session holds which lanes.
type table struct {
	Held map[string]Lanes `json:"held"`
}

// lanes is what a member knows of its own lanes. All sets are below the member's
// mutex.
type lanes struct {
	held pipeline.LaneSet // ours, by the last table that was read or written
	// leaving are held ones that are to be given up, and therefore not claimed
	// from: as soon as the claims up to mark have ended and nothing of them is in
	// hand.
	leaving pipeline.LaneSet
	mark    uint64
	// doubt are those whose giving up was written without an answer: it may still
	// come into force.
	doubt pipeline.LaneSet
	rev   int64 // of the newest table known
}

// Lanes returns the lanes whose keys this process may claim at this moment; none
// if its session is over, or may be.
func (m *Member) Lanes() pipeline.LaneSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil || m.session.over() {
		return 0
	}
	return m.lanes.held &^ m.lanes.leaving &^ m.lanes.doubt
}

// fairShare returns how many lanes the session at this rank holds among n: the
// same number for all, or one more for the first.
func fairShare(rank, n int) int {
	share := pipeline.QueueLanes / n
	if rank < pipeline.QueueLanes%n {
		share++
	}
	return share
}

// share brings the table nearer to a fair one: it gives up what is too much and
// takes what is free. settled means that this session holds its share.
func (m *Member) share(ctx context.Context, s *session, workers []Worker) (settled bool, err error) {
	for range shareTries {
		if settled, err = m.shareOnce(ctx, s, workers); !errors.Is(err, pipeline.ErrConflict) {
			return settled, err
		}
	}
	return false, nil // in a moment
}

func (m *Member) shareOnce(ctx context.Context, s *session, workers []Worker) (settled bool, err error) {
	name := lanesName(m.o.Worker.Queue)
	rec, _, err := m.read(ctx, name)
	if err != nil {
		return false, err
	}
	t := table{Held: map[string]Lanes{}}
	if rec.Revision != 0 {
		if err := json.Unmarshal(rec.Value, &t); err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
	}
	if rec.Revision < m.lanes.rev && rec.Revision != 0 {
		return false, nil // an old reading
	}
	buried, err := m.bury(ctx, &t, workers)
	if err != nil {
		return false, err
	}
	mine := pipeline.LaneSet(t.Held[s.id])
	share := m.shareOf(s, workers)
	give, left := m.surplus(mine, share, rec.Revision)
	take := pick(^t.taken(), share-Lanes(mine).Count())
	next := mine&^give | take
	settled = left == 0 && Lanes(next).Count() == share
	if give|take == 0 && !buried && !m.inDoubt() {
		return settled, nil
	}
	if t.Held[s.id] = Lanes(next); next == 0 {
		delete(t.Held, s.id)
	}
	value, err := json.Marshal(t)
	if err != nil {
		return false, err
	}
	m.doubt(give)
	rev, err := m.records.WriteRecord(ctx, name, value, rec.Revision, 0)
	if err != nil {
		return false, err
	}
	m.hold(next, rev)
	if take != 0 && m.o.Gained != nil {
		m.o.Gained()
	}
	return settled, nil
}

// bury takes the lanes of dead sessions out of the table.
func (m *Member) bury(ctx context.Context, t *table, workers []Worker) (found bool, err error) {
	for id := range t.Held {
		if slices.ContainsFunc(workers, func(w Worker) bool { return w.Session == id }) {
			continue
		}
		dead, err := m.dead(ctx, id)
		if err != nil {
			return found, err
		}
		if dead {
			delete(t.Held, id)
			found = true
		}
	}
	return found, nil
}

// taken returns the lanes that have a holder.
func (t *table) taken() (all pipeline.LaneSet) {
	for _, l := range t.Held {
		all |= pipeline.LaneSet(l)
	}
	return all
}

// shareOf returns how many lanes the session is to hold. Who drains needs none.
func (m *Member) shareOf(s *session, workers []Worker) int {
	if m.draining() {
		return 0
	}
	ids := []string{s.id} // a reading may be older than the session
	for _, w := range workers {
		if w.Leased && !w.Draining && w.Session != s.id {
			ids = append(ids, w.Session)
		}
	}
	slices.Sort(ids)
	return fairShare(slices.Index(ids, s.id), len(ids))
}

// surplus chooses the lanes to be given up and stops claiming from them. give are
// those that nothing is in hand of; left are the others.
func (m *Member) surplus(mine pipeline.LaneSet, share int, rev int64) (give, left pipeline.LaneSet) {
	var before Hand
	if m.o.Hand != nil {
		before = m.o.Hand()
	}
	m.mu.Lock()
	l := &m.lanes
	l.held, l.rev = mine, rev
	l.doubt &= mine
	// Those that were leaving already first, then the idle ones.
	over := Lanes(mine).Count() - share
	out := pick(mine&(l.leaving|l.doubt), over)
	out |= pick(mine&^out&^before.Lanes, over-Lanes(out).Count())
	out |= pick(mine&^out, over-Lanes(out).Count())
	fresh := out &^ l.leaving
	l.leaving = out
	m.mu.Unlock()
	if out == 0 {
		return 0, 0
	}
	var now Hand
	if m.o.Hand != nil {
		now = m.o.Hand() // after the last claim that may take from them has begun
	}
	if fresh != 0 {
		l.mark = now.Begun
	}
	if now.Ended >= l.mark {
		give = out &^ now.Lanes
	}
	return give, out &^ give
}

// doubt notes what is about to be given up.
func (m *Member) doubt(give pipeline.LaneSet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lanes.doubt |= give
}

func (m *Member) inDoubt() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lanes.doubt != 0
}

// hold notes what a write to the table left this session with: nothing that was
// written before can come into force any more.
func (m *Member) hold(set pipeline.LaneSet, rev int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &m.lanes
	l.held, l.rev, l.doubt = set, rev, 0
	l.leaving &= set
}

// pick returns n lanes of a set, the lowest first; fewer if it has no more.
func pick(set pipeline.LaneSet, n int) (out pipeline.LaneSet) {
	for ; n > 0 && set != 0; n-- {
		low := set & -set
		out |= low
		set &^= low
	}
	return out
}
