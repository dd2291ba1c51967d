package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// States and holds as the file has them.
const (
	stateReady  = 0
	stateLeased = 1
	stateDone   = 2
	stateDead   = 3

	holdNone    = 0
	holdDelayed = 1
	holdKey     = 2
)

// Enqueue adds all items or, with an error, none. An id that the queue has
// already is an error (code duplicate-id); a known idempotency key is not.
func (q *Queue) Enqueue(ctx context.Context, items []pipeline.NewItem) ([]pipeline.Enqueued, error) {
	metas := make([]sql.NullString, len(items))
	for i := range items {
		if err := items[i].Validate(); err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		if len(items[i].Meta) > 0 {
			text, err := json.Marshal(items[i].Meta)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			metas[i] = sql.NullString{String: string(text), Valid: true}
		}
	}
	var out []pipeline.Enqueued
	err := q.writes.do(ctx, true, func(t *tx) (err error) {
		out, err = q.enqueue(t, items, metas)
		return err
	})
	if err != nil {
		return nil, q.fail("enqueue", err)
	}
	return out, nil
}

// enqueue first finds out what every item is, and writes only if none is
// refused.
func (q *Queue) enqueue(t *tx, items []pipeline.NewItem, metas []sql.NullString) ([]pipeline.Enqueued, error) {
	out := make([]pipeline.Enqueued, len(items))
	ids, idems := map[string]bool{}, map[string]string{}
	for i := range items {
		it := &items[i]
		first, known, err := q.knows(t, it.IdempotencyKey, idems)
		if err != nil {
			return nil, err
		}
		if known {
			out[i] = pipeline.Enqueued{ID: first, Duplicate: true}
			continue
		}
		if out[i].ID, err = q.nameOf(t, it.ID, ids); err != nil {
			return nil, err
		}
		ids[out[i].ID] = true
		if it.IdempotencyKey != "" {
			idems[it.IdempotencyKey] = out[i].ID
		}
	}
	keys := keySet{}
	for i := range items {
		if out[i].Duplicate {
			continue
		}
		if err := q.insert(t, &items[i], out[i].ID, metas[i]); err != nil {
			return nil, err
		}
		keys.add(items[i].Key)
	}
	return out, settle(t, q.id, keys)
}

// nameOf returns the id that was asked for, if it is free, or a new one.
func (q *Queue) nameOf(t *tx, id string, here map[string]bool) (string, error) {
	if id == "" {
		return strings.ToLower(rand.Text()), nil
	}
	taken := here[id]
	err := t.query(func(r *sql.Rows) error { taken = true; return nil }, itemByID, q.id, id)
	if err == nil && taken {
		err = refused(id, pipeline.Fail("duplicate-id", "queue %q has an item %q already", q.name, id).
			WithHint("give an idempotencyKey if a second enqueue should be harmless"))
	}
	return id, err
}

const itemByID = `SELECT 1 FROM items INDEXED BY items_id WHERE queue=? AND id=?`

// refused says which item an error is about.
func refused(id string, e *pipeline.Error) error {
	e.Item = id
	return e
}

func (q *Queue) insert(t *tx, it *pipeline.NewItem, id string, meta sql.NullString) error {
	hold, notBefore := holdNone, millis(it.NotBefore)
	switch {
	case it.Key != "":
		hold = holdKey // settle decides
	case notBefore > t.now:
		hold = holdDelayed
	default:
		t.wake(q.id)
	}
	idem, err := q.takeKey(t, it)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO items(queue,id,key,lane,idem,idem_held,idem_active,idem_until,hold,priority,max_attempts,enqueued,not_before,deadline,
			traceparent,tracestate,token)
		VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,(SELECT value FROM meta WHERE name='dropped'))`,
		q.id, id, nullable(it.Key), laneOf(it.Key), idem.key, idem.key.Valid, idem.active, idem.until, hold, it.Priority,
		it.MaxAttempts, t.now, notBefore, millis(it.Deadline), it.Trace.Parent, it.Trace.State)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO payloads(seq,meta,body) VALUES(last_insert_rowid(),?,?)`, meta, []byte(it.Body))
	return err
}

// laneOf returns the lane of a key, NULL without one.
func laneOf(key string) sql.NullInt64 {
	if key == "" {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(pipeline.LaneOf(key)), Valid: true}
}

// keySet collects the keys whose items changed in a transaction.
type keySet map[string]struct{}

func (s keySet) add(key string) {
	if key != "" {
		s[key] = struct{}{}
	}
}

// Every statement over a key repeats the condition of the partial index
// items_key: SQLite does not conclude state<2 from state=0, and without the
// index each change of a key would read the whole queue. INDEXED BY makes a plan
// without it an error.
const (
	ofKey     = ` INDEXED BY items_key WHERE queue=? AND key=? AND state<2`
	clearKey  = `UPDATE items SET hold=2 WHERE seq IN (SELECT seq FROM items` + ofKey + ` AND state=0 AND hold IN (0,1))`
	headOfKey = `UPDATE items SET hold=(not_before>?) WHERE seq=(
			SELECT min(seq) FROM items` + ofKey + ` AND state=0 AND hold=2)
		AND NOT EXISTS (SELECT 1 FROM items` + ofKey + ` AND state=1)`
)

// settle decides anew which item of each key is claimable: the oldest that is
// ready, if none is leased. Its order holds even if it is delayed: then its
// key waits with it.
func settle(t *tx, queue int64, keys keySet) error {
	for key := range keys {
		if _, err := t.exec(clearKey, queue, key); err != nil {
			return err
		}
		n, err := t.exec(headOfKey, t.now, queue, key, queue, key)
		if err != nil {
			return err
		}
		if n > 0 {
			t.wake(queue)
		}
	}
	return nil
}

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// millis returns Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the inverse of millis.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
