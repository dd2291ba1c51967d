package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// states in the order of their numbers in the file.
var states = [...]pipeline.ItemState{pipeline.StateReady, pipeline.StateLeased, pipeline.StateDone, pipeline.StateDead}

// Stats counts in one statement, so that the numbers are of one moment.
func (q *Queue) Stats(ctx context.Context) (pipeline.QueueStats, error) {
	var s pipeline.QueueStats
	counts := [...]*int64{&s.Ready, &s.Leased, &s.Done, &s.Dead, &s.Delayed}
	const delayed = len(counts) - 1
	now := q.now().UnixMilli()
	rows, err := q.reads.QueryContext(ctx, `SELECT state, count(*) FROM items WHERE queue=? GROUP BY state
		UNION ALL SELECT ?, count(*) FROM items WHERE queue=? AND state=0 AND hold>0 AND hold=1 AND not_before>? AND NOT `+late,
		q.id, delayed, q.id, now, now)
	if err == nil {
		err = eachRow(rows, func(r *sql.Rows) error {
			var state int
			var n int64
			if err := r.Scan(&state, &n); err != nil {
				return err
			}
			*counts[state] = n
			return nil
		})
	}
	if err != nil {
		return pipeline.QueueStats{}, q.fail("stats", err)
	}
	s.Enqueued = s.Ready + s.Leased + s.Done + s.Dead
	return s, nil
}

// Pending counts the items that are not at their end. A deadline ends a delay.
func (q *Queue) Pending(ctx context.Context) (n int64, next time.Time, err error) {
	var ready, late sql.NullInt64
	err = q.reads.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM items WHERE queue=? AND state IN (0,1)),
		(SELECT min(not_before) FROM items INDEXED BY items_held WHERE queue=? AND state=0 AND hold>0 AND hold=1),
		(SELECT min(deadline) FROM items INDEXED BY items_deadline WHERE queue=? AND state=0 AND hold=1 AND deadline>0)`, q.id, q.id, q.id).Scan(&n, &ready, &late)
	if late.Valid && late.Int64 < ready.Int64 {
		ready = late
	}
	return n, instant(ready.Int64), q.fail("pending", err)
}

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
	i.deadline, i.lease_until, i.ended, i.result, i.digest, i.traceparent, i.tracestate, p.meta`

// lastError is why an item is dead; empty for others.
const lastError = `CASE i.state WHEN 3 THEN coalesce((SELECT error FROM events WHERE seq=i.seq ORDER BY n DESC LIMIT 1),'') ELSE '' END`

// List returns entries without bodies and history, oldest first.
func (q *Queue) List(ctx context.Context, f pipeline.Filter) ([]pipeline.Entry, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := q.where(f, "")
	rows, err := q.reads.QueryContext(ctx, `SELECT `+entryColumns+`, `+lastError+` FROM items i JOIN payloads p USING(seq)`+where, args...)
	out := []pipeline.Entry{}
	if err == nil {
		err = eachRow(rows, func(r *sql.Rows) error {
			var last string
			_, e, err := q.scanEntry(r, &last)
			e.Error = last
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
	rows, err := t.QueryContext(ctx, `SELECT `+entryColumns+`, p.body FROM items i JOIN payloads p USING(seq) WHERE i.queue=? AND i.id=?`, q.id, id)
	if err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	var e pipeline.Entry
	var seq int64
	err = eachRow(rows, func(r *sql.Rows) (err error) {
		var body []byte
		seq, e, err = q.scanEntry(r, &body)
		e.Body = body
		return err
	})
	if err == nil && seq == 0 {
		return pipeline.Entry{}, fmt.Errorf("%s: queue %q: item %q: %w", q.url, q.name, id, pipeline.ErrNotFound)
	}
	if err == nil {
		e.History, err = history(ctx, t, seq)
	}
	if err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	return e, nil
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
	var enqueued, notBefore, deadline, leaseUntil, ended int64
	var meta sql.NullString
	err = r.Scan(append([]any{&seq, &e.ID, &state, &e.Key, &e.Priority, &e.Attempts, &e.Token, &e.Owner, &enqueued, &notBefore,
		&deadline, &leaseUntil, &ended, &e.Result, &e.Digest, &e.Trace.Parent, &e.Trace.State, &meta}, more...)...)
	if err != nil {
		return 0, e, err
	}
	if state < 0 || state >= len(states) {
		return 0, e, fmt.Errorf("item %s: state %d is unknown", e.ID, state)
	}
	e.State = states[state]
	e.Enqueued, e.NotBefore, e.Deadline = instant(enqueued), instant(notBefore), instant(deadline)
	e.LeaseUntil, e.Ended = instant(leaseUntil), instant(ended)
	if meta.Valid {
		err = json.Unmarshal([]byte(meta.String), &e.Meta)
	}
	return seq, e, err
}

// where renders a filter over items i, and a further condition, oldest first.
func (q *Queue) where(f pipeline.Filter, and string) (clause string, args []any) {
	var b strings.Builder
	b.WriteString(` WHERE i.queue=?` + and)
	args = append(args, q.id)
	if f.IDs != nil {
		ids, _ := json.Marshal(f.IDs) // strings always encode
		b.WriteString(` AND i.id IN (SELECT value FROM json_each(?))`)
		args = append(args, string(ids))
	}
	if f.State != "" {
		b.WriteString(` AND i.state=?`)
		args = append(args, stateNumber(f.State))
	}
	if f.Key != "" {
		b.WriteString(` AND i.key=?`)
		args = append(args, f.Key)
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
