package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// maxHistory events are kept of an item, the latest ones: an item that is
	// given back for weeks (an open breaker) does not grow without end.
	maxHistory = 64
	// maxCause is how much of an error's text is kept.
	maxCause = 4 << 10
)

// Ack ends the item, on disk when it returns. The same acknowledgement again
// changes nothing and succeeds; any other under a token that is no longer the
// live one is ErrLeaseLost.
func (q *Queue) Ack(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	state := stateDone
	switch o.Result {
	case pipeline.Succeeded, pipeline.Skipped, pipeline.Dropped:
	case pipeline.Dead:
		state = stateDead
	default:
		return pipeline.Fail("bad-outcome", "%q is not a result", o.Result)
	}
	err := q.writes.do(ctx, true, func(t *tx) error { return q.ack(t, it, state, o) })
	return q.fail("ack", q.lost(err, it))
}

const (
	ended = ` state=?, result=?, digest=?, ended=?, lease_until=0`

	// ackPlain ends an item whose end concerns no other: by far the most. It says
	// so itself, because a worker's word for it would not do.
	ackPlain = `UPDATE items SET` + ended + onLease + ` AND key IS NULL AND idem_active=0`
)

func (q *Queue) ack(t *tx, it *pipeline.Item, state int, o pipeline.Outcome) error {
	end := []any{state, string(o.Result), string(o.Digest), t.now}
	if it.Key == "" && o.Result != pipeline.Dead && o.Result != pipeline.Dropped {
		if n, err := t.exec(ackPlain, append(end, q.id, it.ID, it.Token)...); err != nil || n > 0 {
			return err
		}
	}
	left, err := q.leave(t, it, ended, end...)
	if err != nil {
		return err
	}
	if left == nil {
		return q.acked(t, it, o)
	}
	switch o.Result {
	case pipeline.Dead:
		err = q.record(t, left.seq, causeEvent("dead", it.Attempt, o.Cause))
	case pipeline.Dropped:
		err = q.record(t, left.seq, causeEvent("dropped", it.Attempt, o.Cause))
	}
	if err == nil && left.frees {
		_, err = t.exec(releaseKey, left.seq)
	}
	if err != nil {
		return err
	}
	return settle(t, q.id, keySetOf(left.key))
}

// onLease is the condition of every write of a worker: queue, id, token.
const onLease = ` WHERE queue=? AND id=? AND token=? AND state=1`

const findLease = `SELECT ` + rowColumns + ` FROM items INDEXED BY items_id` + onLease

// leave takes an item from its lease under the condition of a worker's write;
// nil without an error says that it did not hold. To read and to write, both
// under the write lock, is cheaper than one write with RETURNING.
func (q *Queue) leave(t *tx, it *pipeline.Item, set string, args ...any) (*row, error) {
	var left []row
	err := t.query(func(r *sql.Rows) error { return scanRow(r, &left) }, findLease, q.id, it.ID, it.Token)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	_, err = t.exec(`UPDATE items SET`+set+` WHERE seq=?`, append(args, left[0].seq)...)
	return &left[0], err
}

// acked reports whether this very acknowledgement was written before.
func (q *Queue) acked(t *tx, it *pipeline.Item, o pipeline.Outcome) error {
	same := false
	err := t.query(func(r *sql.Rows) error { same = true; return nil },
		`SELECT 1 FROM items WHERE queue=? AND id=? AND token=? AND state>=2 AND result=? AND digest=?`,
		q.id, it.ID, it.Token, string(o.Result), string(o.Digest))
	if err == nil && !same {
		err = pipeline.ErrLeaseLost
	}
	return err
}

// Nack makes the item ready again, now or after a wait.
func (q *Queue) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	err := q.writes.do(ctx, false, func(t *tx) error { return q.nack(t, it, r) })
	return q.fail("nack", q.lost(err, it))
}

// toReady: a cancelled item waits for nothing.
const toReady = ` state=0, hold=CASE WHEN cancelled THEN 0 ELSE ? END, not_before=CASE WHEN cancelled THEN 0 ELSE ? END,
	attempts=attempts-?, lease_until=0, owner=''`

func (q *Queue) nack(t *tx, it *pipeline.Item, r pipeline.Release) error {
	refund, what := 0, "retry"
	if r.Refund {
		refund, what = 1, "released"
	}
	if it.Condemned != nil {
		refund = 0 // the claim counted none
	}
	hold, notBefore := holdNone, int64(0)
	if r.After > 0 {
		hold, notBefore = holdDelayed, after(t.now, r.After)
	}
	back, err := q.leave(t, it, toReady, hold, notBefore, refund)
	if err != nil {
		return err
	}
	if back == nil {
		return pipeline.ErrLeaseLost
	}
	if hold == holdNone {
		t.wake(q.id)
	}
	if err := q.record(t, back.seq, causeEvent(what, it.Attempt, r.Cause)); err != nil {
		return err
	}
	return settle(t, q.id, keySetOf(back.key))
}

const renewLease = `UPDATE items SET lease_until=?` + onLease

// Renew extends all leases in one transaction, from now on, and returns those
// that are lost.
func (q *Queue) Renew(ctx context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	err = q.writes.do(ctx, false, func(t *tx) error {
		lost = lost[:0]
		for _, it := range items {
			n, err := t.exec(renewLease, t.now+q.opt.Lease.Milliseconds(), q.id, it.ID, it.Token)
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, it)
			}
		}
		return nil
	})
	if err != nil {
		return nil, q.fail("renew", err)
	}
	return lost, nil
}

// lost adds the item to ErrLeaseLost.
func (q *Queue) lost(err error, it *pipeline.Item) error {
	if errors.Is(err, pipeline.ErrLeaseLost) {
		return fmt.Errorf("queue %q: item %s, attempt %d: %w", q.name, it.ID, it.Attempt, err)
	}
	return err
}

// record adds an event to an item's history.
func (q *Queue) record(t *tx, seq int64, e pipeline.Event) error {
	return q.recordAt(t, seq, t.now, e)
}

func (q *Queue) recordAt(t *tx, seq, at int64, e pipeline.Event) error {
	_, err := t.exec(`INSERT INTO events(seq,at,attempt,what,kind,code,stage,error) VALUES(?,?,?,?,?,?,?,?)`,
		seq, at, e.Attempt, e.What, e.Kind, e.Code, e.Stage, e.Error)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM events WHERE seq=? AND n<=(SELECT n FROM events WHERE seq=? ORDER BY n DESC LIMIT 1 OFFSET ?)`, seq, seq, maxHistory)
	return err
}

// causeEvent describes a failure for the history.
func causeEvent(what string, attempt int, cause error) pipeline.Event {
	e := pipeline.Event{What: what, Attempt: attempt}
	if cause == nil {
		return e
	}
	e.Kind, e.Code = pipeline.KindOf(cause).String(), pipeline.CodeOf(cause)
	e.Error = strings.ToValidUTF8(cause.Error(), "?")
	e.Error = strings.ToValidUTF8(e.Error[:min(len(e.Error), maxCause)], "")
	var typed *pipeline.Error
	if errors.As(cause, &typed) {
		e.Stage = typed.Stage
	}
	return e
}

func keySetOf(key string) keySet {
	s := keySet{}
	s.add(key)
	return s
}
