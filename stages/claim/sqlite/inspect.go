package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// states in the order of their numbers in the file.
var states = [...]pipeline.ItemState{pipeline.StateReady, pipeline.StateLeased, pipeline.StateDone, pipeline.StateDead}

// Queues lists the queues of the file by name.
func (q *Queue) Queues(ctx context.Context) ([]string, error) {
	names := []string{}
	rows, err := q.reads.QueryContext(ctx, `SELECT name FROM queues ORDER BY name`)
	if err == nil {
		err = eachRow(rows, func(r *sql.Rows) error {
			var name string
			err := r.Scan(&name)
			names = append(names, name)
			return err
		})
	}
	return names, q.fail("queues", err)
}

const entryColumns = `i.seq, i.id, i.state, coalesce(i.key,''), i.priority, i.attempts, i.token, i.owner, i.enqueued, i.not_before,
	i.deadline, i.lease_until, i.ended, i.result, i.digest, i.traceparent, i.tracestate, i.max_attempts, i.cancelled,
	CASE WHEN i.idem_held=1 THEN i.idem ELSE '' END, i.idem_active, i.idem_until, p.meta`

// lastError is why an item is dead; empty for others.
const lastError = `CASE i.state WHEN 3 THEN coalesce((SELECT error FROM events WHERE seq=i.seq ORDER BY n DESC LIMIT 1),'') ELSE '' END`

// List returns entries without bodies and history, oldest first.
func (q *Queue) List(ctx context.Context, f pipeline.Filter) ([]pipeline.Entry, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := q.where(f, q.now(), "")
	rows, err := q.reads.QueryContext(ctx, `SELECT `+entryColumns+`, `+lastError+` FROM items i JOIN payloads p USING(seq)`+where, args...)
	out := []pipeline.Entry{}
	if err == nil {
		err = eachRow(rows, func(r *sql.Rows) error {
			var last string
			_, e, err := q.scanEntry(r, &last)
			if last != "" {
				e.Error = last
			}
			out = append(out, e)
			return err
		})
	}
	if err != nil {
		return nil, q.fail("list", err)
	}
	return out, nil
}

// Show returns one whole entry or ErrNotFound, as of one moment.
func (q *Queue) Show(ctx context.Context, id string) (pipeline.Entry, error) {
	t, err := q.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	defer t.Rollback()
	var seq int64
	found, err := q.wholeEntries(ctx, t, ` WHERE i.queue=? AND i.id=?`, []any{q.id, id}, &seq)
	if err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	if len(found) == 0 {
		return pipeline.Entry{}, fmt.Errorf("%s: queue %q: item %q: %w", q.url, q.name, id, pipeline.ErrNotFound)
	}
	return found[0], nil
}

func history(ctx context.Context, t *sql.Tx, seq int64) ([]pipeline.Event, error) {
	rows, err := t.QueryContext(ctx, `SELECT at, attempt, what, kind, code, stage, error FROM events WHERE seq=? ORDER BY n`, seq)
	if err != nil {
		return nil, err
	}
	var out []pipeline.Event
	err = eachRow(rows, func(r *sql.Rows) error {
		var e pipeline.Event
		var at int64
		err := r.Scan(&at, &e.Attempt, &e.What, &e.Kind, &e.Code, &e.Stage, &e.Error)
		e.At = instant(at)
		out = append(out, e)
		return err
	})
	return out, err
}

func (q *Queue) scanEntry(r *sql.Rows, more ...any) (seq int64, e pipeline.Entry, err error) {
	e.Queue = q.name
	var state int
	var enqueued, notBefore, deadline, leaseUntil, ended, idemUntil int64
	var idemActive bool
	var meta sql.NullString
	err = r.Scan(append([]any{&seq, &e.ID, &state, &e.Key, &e.Priority, &e.Attempts, &e.Token, &e.Owner, &enqueued, &notBefore,
		&deadline, &leaseUntil, &ended, &e.Result, &e.Digest, &e.Trace.Parent, &e.Trace.State, &e.MaxAttempts, &e.Cancelled,
		&e.IdempotencyKey, &idemActive, &idemUntil, &meta}, more...)...)
	if err != nil {
		return 0, e, err
	}
	if state < 0 || state >= len(states) {
		return 0, e, fmt.Errorf("item %s: state %d is unknown", e.ID, state)
	}
	e.State = states[state]
	e.Enqueued, e.NotBefore, e.Deadline = instant(enqueued), instant(notBefore), instant(deadline)
	e.LeaseUntil, e.Ended = instant(leaseUntil), instant(ended)
	if e.IdempotencyKey != "" {
		e.IdempotencyScope, e.IdempotencyUntil = scopeOf(idemActive), instant(idemUntil)
	}
	if meta.Valid {
		if err := json.Unmarshal([]byte(meta.String), &e.Meta); err != nil {
			e.Error = "the item cannot be read: meta: " + err.Error() // the others can be
		}
	}
	return seq, e, nil
}

func scopeOf(active bool) string {
	if active {
		return pipeline.ScopeActive
	}
	return pipeline.ScopeItem
}
