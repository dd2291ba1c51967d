package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// What a filter of forEach may select.
const (
	notLeased = ` AND i.state<>1`
	notEnded  = ` AND i.state<2`
)

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	if f.State != "" && f.State != pipeline.StateDead {
		return 0, nil
	}
	f.State = pipeline.StateDead
	return q.forEach(ctx, "retry", f, notLeased, func(t *tx, it row) error {
		_, err := t.exec(`UPDATE items SET state=0, hold=0, not_before=0, attempts=0, expired=0, cancelled=0, ended=0, result='', digest='', owner='',
			deadline=CASE WHEN deadline<=? THEN 0 ELSE deadline END WHERE seq=?`, t.now, it.seq)
		if err != nil {
			return err
		}
		if err := q.regainKey(t, it.seq); err != nil {
			return err
		}
		return q.record(t, it.seq, pipeline.Event{What: "replayed", Attempt: it.attempts})
	})
}

// Cancel condemns items that have not ended. A leased one loses its lease, and
// none waits any more but for its key. Those that are cancelled already stay as
// they are and are not counted.
func (q *Queue) Cancel(ctx context.Context, f pipeline.Filter) (int, error) {
	return q.forEach(ctx, "cancel", f, notEnded+` AND NOT i.cancelled`, func(t *tx, it row) error {
		_, err := t.exec(`UPDATE items SET cancelled=1, state=0, hold=0, not_before=0, lease_until=0, owner='' WHERE seq=?`, it.seq)
		if err != nil {
			return err
		}
		return q.record(t, it.seq, pipeline.Event{What: "cancelled", Attempt: it.attempts})
	})
}

// Drop deletes items that are not leased, with their history.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	return q.forEach(ctx, "drop", f, notLeased, func(t *tx, it row) error { return erase(t, it.seq) })
}

// erase deletes an item. Items enqueued later get tokens above its own, so that
// a late worker of it is still refused when its id is used again.
func erase(t *tx, seq int64) error {
	for _, del := range [...]string{raiseDropped, `DELETE FROM events WHERE seq=?`, `DELETE FROM payloads WHERE seq=?`, `DELETE FROM items WHERE seq=?`} {
		if _, err := t.exec(del, seq); err != nil {
			return err
		}
	}
	return nil
}

const raiseDropped = `UPDATE meta SET value=max(value, (SELECT token FROM items WHERE seq=?)) WHERE name='dropped'`

// Pause stops claims, or lets them go on, for every process.
func (q *Queue) Pause(ctx context.Context, paused bool) error {
	return q.fail("pause", q.writes.do(ctx, true, func(t *tx) error {
		if !paused {
			t.wake(q.id)
		}
		_, err := t.exec(`UPDATE queues SET paused=? WHERE id=?`, paused, q.id)
		return err
	}))
}

// forEach changes the items of a filter, all or none, and settles their keys.
func (q *Queue) forEach(ctx context.Context, what string, f pipeline.Filter, and string, change func(*tx, row) error) (int, error) {
	var all []row
	err := q.writes.do(ctx, true, func(t *tx) error {
		var err error
		if all, err = q.find(t, f, and); err != nil || len(all) == 0 {
			return err
		}
		keys := keySet{}
		for _, it := range all {
			keys.add(it.key)
			if err := change(t, it); err != nil {
				return err
			}
		}
		t.wake(q.id)
		return settle(t, q.id, keys)
	})
	if err != nil {
		return 0, q.fail(what, err)
	}
	return len(all), nil
}

// find returns the items of a filter.
func (q *Queue) find(t *tx, f pipeline.Filter, and string) (all []row, err error) {
	where, args := q.where(f, time.UnixMilli(t.now), and)
	err = t.query(func(r *sql.Rows) error { return scanRow(r, &all) }, `SELECT `+rowColumns+` FROM items i`+where, args...)
	return all, err
}
