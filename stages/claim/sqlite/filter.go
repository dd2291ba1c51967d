package sqlite

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Count returns how many entries match.
func (q *Queue) Count(ctx context.Context, f pipeline.Filter) (n int64, err error) {
	where, args := q.where(f, q.now(), "")
	err = q.reads.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM items i`+where+`)`, args...).Scan(&n)
	return n, q.fail("count", err)
}

// amongReady narrows a search to the indexes that hold what is ready, so that it
// does not read what has ended.
const amongReady = ` AND i.seq IN (
	SELECT seq FROM items INDEXED BY items_free WHERE queue=? AND state=0 AND hold=0 AND lane IS NULL
	UNION ALL SELECT seq FROM items INDEXED BY items_keyed WHERE queue=? AND state=0 AND hold=0 AND lane IS NOT NULL
	UNION ALL SELECT seq FROM items INDEXED BY items_held WHERE queue=? AND state=0 AND hold>0)`

// where renders a filter over items i, and a further condition, oldest first.
func (q *Queue) where(f pipeline.Filter, now time.Time, and string) (clause string, args []any) {
	var b strings.Builder
	b.WriteString(` WHERE i.queue=?` + and)
	args = append(args, q.id)
	if f.IDs != nil {
		ids, _ := json.Marshal(f.IDs) // strings always encode
		b.WriteString(` AND i.id IN (SELECT value FROM json_each(?))`)
		args = append(args, string(ids))
	}
	switch state := stateNumber(f.State); {
	case f.State == "":
	case state == stateReady && f.IDs == nil:
		b.WriteString(` AND i.state=0` + amongReady)
		args = append(args, q.id, q.id, q.id)
	default:
		b.WriteString(` AND i.state=` + strconv.Itoa(state))
	}
	if f.Result != "" || f.State == pipeline.StateDone || f.State == pipeline.StateDead {
		b.WriteString(` AND i.state>=2`) // what items_ended is about
	}
	if f.Key != "" {
		b.WriteString(` AND i.key=?`)
		args = append(args, f.Key)
	}
	if f.Result != "" {
		b.WriteString(` AND i.result=?`)
		args = append(args, string(f.Result))
	}
	if f.OlderThan > 0 {
		b.WriteString(` AND i.enqueued<=?`)
		args = append(args, now.Add(-f.OlderThan).UnixMilli())
	}
	b.WriteString(` ORDER BY i.seq`)
	if f.Limit > 0 {
		b.WriteString(` LIMIT ?`)
		args = append(args, f.Limit)
	}
	return b.String(), args
}

// stateNumber returns -1, which no item has, for a state that does not exist.
func stateNumber(s pipeline.ItemState) int {
	for i := range states {
		if states[i] == s {
			return i
		}
	}
	return -1
}
