package sqlite

import (
	"context"
	"database/sql"

	"github.com/waybill-dev/waybill/pipeline"
)

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	if f.State != "" && f.State != pipeline.StateDead {
		return 0, nil
	}
	f.State = pipeline.StateDead
	return q.forEach(ctx, "retry", f, func(t *tx, it row) error {
		_, err := t.exec(`UPDATE items SET state=0, hold=0, not_before=0, attempts=0, expired=0, ended=0, result='', digest='', owner='',
			deadline=CASE WHEN deadline<=? THEN 0 ELSE deadline END WHERE seq=?`, t.now, it.seq)
		if err != nil {
			return err
		}
		return q.record(t, it.seq, pipeline.Event{What: "replayed", Attempt: it.attempts})
	})
}

// Drop deletes items that are not leased, with their history. Items enqueued
// later get tokens above theirs, so that a late worker of a dropped item is
// still refused when its id is used again.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	return q.forEach(ctx, "drop", f, func(t *tx, it row) error {
		for _, del := range [...]string{
			`UPDATE meta SET value=max(value, (SELECT token FROM items WHERE seq=?)) WHERE name='dropped'`,
			`DELETE FROM events WHERE seq=?`, `DELETE FROM payloads WHERE seq=?`, `DELETE FROM items WHERE seq=?`,
		} {
			if _, err := t.exec(del, it.seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// forEach changes the items of a filter that are not leased, all or none, and
// settles their keys.
func (q *Queue) forEach(ctx context.Context, what string, f pipeline.Filter, change func(*tx, row) error) (int, error) {
	var all []row
	err := q.writes.do(ctx, true, func(t *tx) error {
		all = all[:0]
		where, args := q.where(f, ` AND i.state<>1`)
		err := t.query(func(r *sql.Rows) error { return scanRow(r, &all) },
			`SELECT seq, coalesce(key,''), attempts FROM items i`+where, args...)
		if err != nil {
			return err
		}
		keys := keySet{}
		for _, it := range all {
			keys.add(it.key)
			if err := change(t, it); err != nil {
				return err
			}
		}
		return q.settle(t, keys)
	})
	if err != nil {
		return 0, q.fail(what, err)
	}
	return len(all), nil
}
