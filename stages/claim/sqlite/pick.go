package sqlite

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// agedEvery: of this many claims one takes the oldest item whatever its
// priority, so that nothing starves.
const agedEvery = 8

// SQLite takes a partial index only where the statement repeats the index's
// condition word by word, and silently reads the whole queue otherwise.
// INDEXED BY makes that an error.
const (
	inFree  = ` FROM items INDEXED BY items_free WHERE queue=?1 AND state=0 AND hold=0 AND lane IS NULL`
	inKeyed = ` FROM items INDEXED BY items_keyed WHERE queue=?1 AND state=0 AND hold=0 AND lane IS NOT NULL`
	inLane  = ` FROM items INDEXED BY items_lane WHERE queue=?1 AND state=0 AND hold=0 AND lane IS NOT NULL AND lane=`

	lowestPriority = `SELECT min(p) FROM (SELECT * FROM (SELECT priority AS p` + inFree + ` ORDER BY priority, seq DESC LIMIT 1)
		UNION ALL SELECT * FROM (SELECT priority AS p` + inKeyed + ` ORDER BY priority, seq DESC LIMIT 1))`
)

// limit is no plain parameter, for SQLite looks at the value of one when it
// prepares a statement, and prepares it anew for the next value. That takes ten
// times as long as the statement itself.
const limit = ` LIMIT 0+?`

// candidate is a claimable item, read as the claim will make it.
type candidate struct {
	seq        int64
	item       *pipeline.Item
	unreadable bool // nobody can do anything with it but end it
}

// inOrder is the order of claims.
func inOrder(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.item.Priority, a.item.Priority), cmp.Compare(a.seq, b.seq))
}

// picker reads candidates for one claim: items without a key, and those of the
// lanes.
type picker struct {
	q     *Queue
	t     *tx
	lanes pipeline.LaneSet
}

// pick returns at most max items by priority, then by age. Counted over all
// claims, every agedEvery-th is the oldest instead.
func (p picker) pick(max int) ([]candidate, error) {
	got, err := p.read(pickFirst(p.laneCount()), max)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(got, inOrder)
	aged := int((p.q.picks+int64(len(got)))/agedEvery - p.q.picks/agedEvery)
	if aged == 0 || len(got) < max { // fewer than asked for: these are all
		return got, nil
	}
	var lowest int
	err = p.t.query(func(r *sql.Rows) error { return r.Scan(&lowest) }, lowestPriority, p.q.id)
	if err != nil || lowest == got[0].item.Priority { // among equals the first are the oldest
		return got, err
	}
	return p.age(got, aged, lowest)
}

// age gives the last places in a full pick to the oldest items of all
// priorities, as far as they are not in it.
func (p picker) age(got []candidate, aged, lowest int) ([]candidate, error) {
	var oldest []candidate
	for priority := lowest; priority <= got[0].item.Priority; priority++ {
		some, err := p.read(pickOldest(p.laneCount()), aged, priority)
		if err != nil {
			return nil, err
		}
		oldest = append(oldest, some...)
	}
	slices.SortFunc(oldest, func(a, b candidate) int { return cmp.Compare(a.seq, b.seq) })
	oldest = oldest[:min(aged, len(oldest))]
	young := slices.DeleteFunc(slices.Clone(got), func(c candidate) bool {
		return slices.ContainsFunc(oldest, func(o candidate) bool { return o.seq == c.seq })
	})
	out := append(young[:min(len(young), len(got)-len(oldest))], oldest...)
	slices.SortFunc(out, inOrder)
	return out, nil
}

// read runs a pick for n items; more stands before the lanes.
func (p picker) read(query string, n int, more ...any) ([]candidate, error) {
	args := append(make([]any, 0, 6+pipeline.QueueLanes), p.q.id, p.t.now, p.q.opt.MaxAttempts, p.q.floor.Load())
	args = append(args, more...)
	if p.lanes != pipeline.AllLanes {
		for lane := range pipeline.QueueLanes {
			if p.lanes.Has(lane) {
				args = append(args, lane)
			}
		}
	}
	got := make([]candidate, 0, min(n, maxGroup))
	err := p.t.query(func(r *sql.Rows) error {
		c, err := p.q.scanClaimed(p.t, r)
		got = append(got, c)
		return err
	}, query, append(args, n)...)
	return got, err
}

// allLanes asks for the keys of every lane.
const allLanes = -1

// laneCount returns how many lanes are picked from one by one.
func (p picker) laneCount() int {
	if p.lanes == pipeline.AllLanes {
		return allLanes
	}
	return bits.OnesCount64(uint64(p.lanes))
}

// pickFirst is a merge of index walks, one for the items without a key and one
// per lane, or one for all lanes. Parameters: those of readClaimed, the lanes,
// limit.
func pickFirst(lanes int) string {
	return fmt.Sprintf(readClaimed, mergeOf(lanes, ``)+` ORDER BY 2 DESC, 1`+limit)
}

// pickOldest is the same inside one priority, which stands before the lanes.
func pickOldest(lanes int) string {
	return fmt.Sprintf(readClaimed, mergeOf(lanes, ` AND priority=?5`)+` ORDER BY 1`+limit)
}

func mergeOf(lanes int, and string) string {
	b := &strings.Builder{}
	b.WriteString(`SELECT seq, priority` + inFree + and)
	if lanes == allLanes {
		b.WriteString(` UNION ALL SELECT seq, priority` + inKeyed + and)
	}
	for range max(lanes, 0) {
		b.WriteString(` UNION ALL SELECT seq, priority` + inLane + `?` + and)
	}
	return b.String()
}
