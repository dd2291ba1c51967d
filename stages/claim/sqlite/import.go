package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Import adds entries at the queue's end, all or none. What would be refused by
// Enqueue is refused here. An idempotency key that another item has is not taken
// along.
func (q *Queue) Import(ctx context.Context, entries []pipeline.Entry) (int, error) {
	metas := make([]sql.NullString, len(entries))
	ids := make(map[string]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		if err := checkEntry(e); err != nil {
			return 0, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if ids[e.ID] {
			return 0, refused(e.ID, pipeline.Fail("duplicate-id", "entry %d: the id %q is there twice", i+1, e.ID))
		}
		ids[e.ID] = true
		if len(e.Meta) > 0 {
			text, err := json.Marshal(e.Meta)
			if err != nil {
				return 0, fmt.Errorf("entry %d: %w", i+1, err)
			}
			metas[i] = sql.NullString{String: string(text), Valid: true}
		}
	}
	added := 0
	err := q.writes.do(ctx, true, func(t *tx) (err error) {
		added, err = q.importAll(t, entries, metas)
		return err
	})
	if err != nil {
		return 0, q.fail("import", err)
	}
	return added, nil
}

// maxToken leaves room for tokens to grow.
const maxToken = 1 << 62

func checkEntry(e *pipeline.Entry) error {
	like := pipeline.NewItem{ID: e.ID, Key: e.Key, IdempotencyKey: e.IdempotencyKey, IdempotencyScope: e.IdempotencyScope,
		Body: e.Body, Meta: e.Meta, Priority: e.Priority, MaxAttempts: e.MaxAttempts}
	if err := like.Validate(); err != nil {
		return err
	}
	switch {
	case e.ID == "":
		return pipeline.Fail("bad-entry", "it has no id")
	case stateNumber(e.State) < 0:
		return pipeline.Fail("bad-entry", "item %s: the state %q is unknown", e.ID, e.State)
	case e.Attempts < 0 || e.Token < 0 || e.Token > maxToken:
		return pipeline.Fail("bad-entry", "item %s: attempts %d and token %d: want 0 or more, a token of at most 2^62", e.ID, e.Attempts, e.Token)
	case !fits(e.State, e.Result):
		return pipeline.Fail("bad-entry", "item %s: a %s item has not ended as %q", e.ID, e.State, e.Result)
	}
	return nil
}

// fits reports whether an item of this state may have this result. A dead one
// needs to say no more.
func fits(s pipeline.ItemState, r pipeline.Result) bool {
	switch s {
	case pipeline.StateDone:
		return r == pipeline.Succeeded || r == pipeline.Skipped || r == pipeline.Dropped
	case pipeline.StateDead:
		return r == pipeline.Dead || r == ""
	}
	return true
}

func (q *Queue) importAll(t *tx, entries []pipeline.Entry, metas []sql.NullString) (added int, err error) {
	keys, highest := keySet{}, int64(0)
	for i := range entries {
		known := false
		err := t.query(func(*sql.Rows) error { known = true; return nil }, itemByID, q.id, entries[i].ID)
		if err != nil {
			return 0, err
		}
		if known {
			continue
		}
		if err := q.importOne(t, arriving(entries[i], t.now), metas[i]); err != nil {
			return 0, err
		}
		keys.add(entries[i].Key)
		highest = max(highest, entries[i].Token)
		added++
	}
	if err := raiseEpoch(t, highest); err != nil {
		return 0, err
	}
	if added > 0 {
		t.wake(q.id)
	}
	return added, settle(t, q.id, keys)
}

// raiseEpoch makes the floors of queues that are opened from now on higher than
// what claims of today can make of a token that came from elsewhere. They are not
// flushed: after a power cut the same token must not be given out again.
func raiseEpoch(t *tx, token int64) error {
	_, err := t.exec(`UPDATE meta SET value=max(value, ?) WHERE name='epoch'`, token/epochSize+1)
	return err
}

// arriving returns an entry as it begins here: a lease does not travel.
func arriving(e pipeline.Entry, now int64) pipeline.Entry {
	if e.Enqueued.IsZero() {
		e.Enqueued = instant(now)
	}
	switch e.State {
	case pipeline.StateDone, pipeline.StateDead:
		if e.Ended.IsZero() {
			e.Ended = instant(now)
		}
		if e.State == pipeline.StateDead {
			e.Result = pipeline.Dead
		}
		return e
	}
	if e.Cancelled {
		e.NotBefore = time.Time{}
	}
	e.State, e.Ended, e.Result, e.Digest = pipeline.StateReady, time.Time{}, "", ""
	return e
}

const importItem = `INSERT INTO items(queue, id, key, lane, idem, idem_active, idem_until, state, hold, priority, attempts, expired, cancelled, max_attempts,
		enqueued, not_before, deadline, ended, result, digest, traceparent, tracestate, token)
	VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,max(?,(SELECT value FROM meta WHERE name='dropped'))) RETURNING seq`

func (q *Queue) importOne(t *tx, e pipeline.Entry, meta sql.NullString) error {
	hold := holdNone
	if e.State == pipeline.StateReady && millis(e.NotBefore) > t.now {
		hold = holdDelayed // settle puts the items of a key in their order
	}
	var seq int64
	err := t.query(func(r *sql.Rows) error { return r.Scan(&seq) }, importItem, q.id, e.ID, nullable(e.Key), laneOf(e.Key), nullable(e.IdempotencyKey),
		e.IdempotencyScope == pipeline.ScopeActive, millis(e.IdempotencyUntil), stateNumber(e.State), hold, e.Priority, e.Attempts, leaseExpired(e),
		e.Cancelled, e.MaxAttempts, millis(e.Enqueued), millis(e.NotBefore), millis(e.Deadline), millis(e.Ended), string(e.Result), string(e.Digest),
		e.Trace.Parent, e.Trace.State, e.Token)
	if err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO payloads(seq,meta,body) VALUES(?,?,?)`, seq, meta, []byte(e.Body)); err != nil {
		return err
	}
	if err := q.regainKey(t, seq); err != nil {
		return err
	}
	for _, event := range e.History[max(0, len(e.History)-maxHistory):] {
		if err := q.recordAt(t, seq, millis(event.At), event); err != nil {
			return err
		}
	}
	return nil
}

// leaseExpired reports whether the lease of an item that is ready ran out, which
// an entry says in its history only.
func leaseExpired(e pipeline.Entry) bool {
	n := len(e.History)
	return e.State == pipeline.StateReady && e.LeaseUntil.IsZero() && n > 0 && e.History[n-1].What == "expired"
}
