package sqlite

import (
	"context"
	"database/sql"

	"github.com/waybill-dev/waybill/pipeline"
)

// copied are the columns that an item takes along into another queue.
const copied = `id, key, lane, idem, idem_held, idem_active, idem_until, state, hold, priority, attempts, expired, cancelled, max_attempts, owner,
	enqueued, not_before, deadline, ended, result, digest, traceparent, tracestate`

// Move puts items that are not leased at the end of another queue of the file,
// in their order, in one transaction. An id or idempotency key that the other
// queue has already is an error (codes duplicate-id, duplicate-key).
func (q *Queue) Move(ctx context.Context, f pipeline.Filter, to string) (int, error) {
	if to == "" || to == q.name {
		return 0, pipeline.Fail("bad-option", "queue %q: items can only be moved to another queue, not to %q", q.name, to)
	}
	n := 0
	err := q.writes.do(ctx, true, func(t *tx) error {
		all, err := q.find(t, f, notLeased)
		if err != nil || len(all) == 0 {
			return err
		}
		n = len(all)
		return q.move(t, all, to)
	})
	if err != nil {
		return 0, q.fail("move", err)
	}
	return n, nil
}

func (q *Queue) move(t *tx, all []row, to string) error {
	target, err := queueID(t, to)
	if err != nil {
		return err
	}
	for _, it := range all {
		if err := q.mayMove(t, it.seq, target, to); err != nil {
			return err
		}
	}
	if target == 0 {
		if _, err := t.exec(`INSERT INTO queues(name) VALUES(?)`, to); err != nil {
			return err
		}
		if target, err = queueID(t, to); err != nil {
			return err
		}
	}
	keys := keySet{}
	for _, it := range all {
		keys.add(it.key)
		if err := q.moveOne(t, it, target); err != nil {
			return err
		}
	}
	t.wake(target)
	if err := settle(t, q.id, keys); err != nil {
		return err
	}
	return settle(t, target, keys)
}

// queueID returns 0 for a queue that does not exist.
func queueID(t *tx, name string) (id int64, err error) {
	err = t.query(func(r *sql.Rows) error { return r.Scan(&id) }, `SELECT id FROM queues WHERE name=?`, name)
	return id, err
}

// mayMove refuses names that the other queue has.
func (q *Queue) mayMove(t *tx, seq, target int64, to string) error {
	var id, idem string
	var held, taken bool
	err := t.query(func(r *sql.Rows) error { return r.Scan(&id, &idem, &held, &taken) },
		`SELECT id, coalesce(idem,''), idem_held, EXISTS(SELECT 1 FROM items o WHERE o.queue=? AND o.id=i.id) FROM items i WHERE seq=?`, target, seq)
	if err != nil {
		return err
	}
	if taken {
		return refused(id, pipeline.Fail("duplicate-id", "queue %q has an item %q already; nothing was moved", to, id))
	}
	if !held {
		return nil
	}
	h, over, err := holderOf(t, target, idem)
	if err == nil && h.seq > 0 && !over {
		err = refused(id, pipeline.Fail("duplicate-key", "queue %q knows the idempotency key of item %q already, as that of %q; nothing was moved", to, id, h.id))
	}
	return err
}

// moveOne gives the item a place at the end. Its tokens go on above those of the
// items that the other queue has dropped, and those of its id here above its
// own.
func (q *Queue) moveOne(t *tx, it row, target int64) error {
	if err := takeOver(t, it.seq, target); err != nil {
		return err
	}
	var seq int64
	err := t.query(func(r *sql.Rows) error { return r.Scan(&seq) },
		`INSERT INTO items(queue, token, `+copied+`) SELECT ?, max(token, (SELECT value FROM meta WHERE name='dropped')), `+copied+`
			FROM items WHERE seq=? RETURNING seq`, target, it.seq)
	if err != nil {
		return err
	}
	for _, text := range [...]string{`UPDATE payloads SET seq=? WHERE seq=?`, `UPDATE events SET seq=? WHERE seq=?`} {
		if _, err := t.exec(text, seq, it.seq); err != nil {
			return err
		}
	}
	for _, text := range [...]string{raiseDropped, `DELETE FROM items WHERE seq=?`} {
		if _, err := t.exec(text, it.seq); err != nil {
			return err
		}
	}
	return q.record(t, seq, pipeline.Event{What: "moved", Attempt: it.attempts})
}

// takeOver makes the item's idempotency key free in the other queue, where the
// time of whoever holds it is over.
func takeOver(t *tx, seq, target int64) error {
	_, err := t.exec(`UPDATE items SET idem_held=0 WHERE queue=? AND idem_held=1
		AND idem=(SELECT idem FROM items WHERE seq=? AND idem_held=1)`, target, seq)
	return err
}
