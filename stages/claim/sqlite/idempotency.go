package sqlite

import (
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// An item keeps its idempotency key for ever and holds it for a time: idem_held
// says that the queue knows it by the key. The unique index is over the held
// ones.

const (
	holderOfKey = `SELECT id, seq, idem_until FROM items INDEXED BY items_idem WHERE queue=? AND idem=? AND idem_held=1`
	releaseKey  = `UPDATE items SET idem_held=0 WHERE seq=?`
)

// idempotency is what an item says about its key.
type idempotency struct {
	key    sql.NullString
	active bool
	until  int64 // Unix milliseconds; 0: no end
}

// holder is the item that a key stands for.
type holder struct {
	seq int64
	id  string
}

// holderOf returns who holds the key in a queue, and whether its time is over:
// then the key is free for whoever takes it away.
func holderOf(t *tx, queue int64, key string) (h holder, over bool, err error) {
	var until int64
	err = t.query(func(r *sql.Rows) error { return r.Scan(&h.id, &h.seq, &until) }, holderOfKey, queue, key)
	return h, until > 0 && until <= t.now, err
}

// knows returns the item that has this idempotency key, in the queue or before
// it in the same call.
func (q *Queue) knows(t *tx, key string, here map[string]string) (id string, known bool, err error) {
	if key == "" {
		return "", false, nil
	}
	if id, known = here[key]; known {
		return id, true, nil
	}
	h, over, err := holderOf(t, q.id, key)
	return h.id, h.seq > 0 && !over, err
}

// takeKey makes a new item's key free, whose last holder's time is over.
func (q *Queue) takeKey(t *tx, it *pipeline.NewItem) (idempotency, error) {
	if it.IdempotencyKey == "" {
		return idempotency{}, nil
	}
	i := idempotency{key: nullable(it.IdempotencyKey), active: it.IdempotencyScope == pipeline.ScopeActive}
	if ttl := it.IdempotencyTTL.D(); ttl > 0 {
		i.until = after(t.now, ttl)
	}
	h, _, err := holderOf(t, q.id, it.IdempotencyKey)
	if err == nil && h.seq > 0 {
		_, err = t.exec(releaseKey, h.seq)
	}
	return i, err
}

// regainKey gives an item that has ended and is retried its key again, or takes
// it away for good if another item has it or its time is over.
func (q *Queue) regainKey(t *tx, seq int64) error {
	var key string
	var until int64
	err := t.query(func(r *sql.Rows) error { return r.Scan(&key, &until) },
		`SELECT idem, idem_until FROM items WHERE seq=? AND idem IS NOT NULL AND idem_held=0`, seq)
	if err != nil || key == "" {
		return err
	}
	h, over, err := holderOf(t, q.id, key)
	if err != nil {
		return err
	}
	if h.seq > 0 && !over || until > 0 && until <= t.now {
		_, err = t.exec(`UPDATE items SET idem=NULL, idem_active=0, idem_until=0 WHERE seq=?`, seq)
		return err
	}
	if h.seq > 0 {
		if _, err := t.exec(releaseKey, h.seq); err != nil {
			return err
		}
	}
	_, err = t.exec(`UPDATE items SET idem_held=1 WHERE seq=?`, seq)
	return err
}

// after returns the Unix milliseconds of a time to come, rounded up: a wait is
// a lower bound.
func after(now int64, d time.Duration) int64 {
	return now + int64((d+time.Millisecond-1)/time.Millisecond)
}
