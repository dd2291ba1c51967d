package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"

	"github.com/waybill-dev/waybill/pipeline"
)

// epochSize is the distance between the token floors of two opened queues: no
// item is claimed this often by one of them.
const epochSize = 1_000_000

// Claim leases at most max claimable items, highest priority first and oldest
// first inside one. Its context matters only until the claim is made.
func (q *Queue) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if max <= 0 {
		return nil, nil
	}
	if err := q.begin(ctx); err != nil {
		return nil, q.fail("claim", err)
	}
	lanes := pipeline.AllLanes
	if q.opt.Lanes != nil {
		lanes = q.opt.Lanes()
	}
	var out []*pipeline.Item
	err := q.writes.do(ctx, false, func(t *tx) (err error) {
		out, err = q.claim(t, max, lanes)
		return err
	})
	if err != nil {
		return nil, q.fail("claim", err)
	}
	return out, nil
}

// begin prepares the first claim of an opened queue: it takes an epoch, on
// disk, and starts the reaper. Claims are not flushed, so a power cut may undo
// one together with its token; after it the file is opened anew, takes a later
// epoch, and all tokens are above those of before.
func (q *Queue) begin(ctx context.Context) error {
	if q.floor.Load() > 0 {
		return nil
	}
	q.started.Lock()
	defer q.started.Unlock()
	if q.floor.Load() > 0 {
		return nil
	}
	var epoch int64
	err := q.writes.do(ctx, true, func(t *tx) error {
		return t.query(func(r *sql.Rows) error { return r.Scan(&epoch) },
			`UPDATE meta SET value=value+1 WHERE name='epoch' RETURNING value`)
	})
	if err != nil {
		return err
	}
	select {
	case <-q.stop:
		return errClosed
	default:
	}
	q.floor.Store(epoch * epochSize)
	q.startReaper()
	return nil
}

// claim is the transaction: what is due is made ready, then items are picked
// and leased.
func (q *Queue) claim(t *tx, max int, lanes pipeline.LaneSet) ([]*pipeline.Item, error) {
	paused, err := q.sweep(t)
	if err != nil || paused {
		return nil, err
	}
	picked, err := picker{q, t, lanes}.pick(max)
	if err != nil || len(picked) == 0 {
		return nil, err
	}
	q.picks += int64(len(picked))
	return q.lease(t, picked)
}

// Why an item is condemned. Only an expired lease uses attempts up: one that was
// given back is the business of who gave it back.
//
// The parameters of all statements about claimable items begin alike: queue, now,
// the queue's attempts, the floor of the tokens.
const (
	exhausted = `(expired AND coalesce(nullif(max_attempts,0), ?3) BETWEEN 1 AND attempts)`
	late      = `(deadline>0 AND deadline<=?2)`
	condemned = `(cancelled OR ` + late + ` OR ` + exhausted + `)`

	// What a claim changes. A condemned item gets a lease and a token, but no
	// attempt.
	nextAttempts = `attempts+NOT` + condemned
	nextToken    = `max(token, ?4)+1`

	// %s picks the items.
	readClaimed = `SELECT i.seq, i.id, coalesce(i.key,''), i.priority, ` + nextAttempts + `, i.max_attempts, ` + nextToken + `, i.enqueued, i.deadline,
			i.cancelled, ` + exhausted + `, i.traceparent, i.tracestate, p.meta, p.body
		FROM (%s) picked CROSS JOIN items i ON i.seq=picked.seq CROSS JOIN payloads p ON p.seq=i.seq`
	leasePicked = `UPDATE items SET state=1, expired=` + exhausted + `, attempts=` + nextAttempts + `, token=` + nextToken + `,
			owner=?5, lease_until=?6 WHERE seq IN (SELECT value FROM json_each(?7))`
)

// lease gives the picked items to us: state, attempts, token and the lease's
// end in one write. At most one item of a key is claimable, so a batch never
// has two.
func (q *Queue) lease(t *tx, picked []candidate) ([]*pipeline.Item, error) {
	_, err := t.exec(leasePicked, q.id, t.now, q.opt.MaxAttempts, q.floor.Load(), q.opt.Owner, t.now+q.opt.Lease.Milliseconds(), seqList(picked))
	if err != nil {
		return nil, err
	}
	out := make([]*pipeline.Item, len(picked))
	for i, c := range picked {
		out[i] = c.item
		if !c.unreadable {
			continue
		}
		// Condemned like the others, which SQL cannot see: it counts no attempt.
		if _, err := t.exec(`UPDATE items SET attempts=attempts-1 WHERE seq=?`, c.seq); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// seqList renders a JSON array for json_each.
func seqList(picked []candidate) string {
	b := append(make([]byte, 0, 2+10*len(picked)), '[')
	for i, c := range picked {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, c.seq, 10)
	}
	return string(append(b, ']'))
}

func (q *Queue) scanClaimed(t *tx, r *sql.Rows) (candidate, error) {
	it := &pipeline.Item{Queue: q.name}
	c := candidate{item: it}
	var meta sql.NullString
	var enqueued, deadline int64
	var cancelled, exhausted bool
	var body []byte
	err := r.Scan(&c.seq, &it.ID, &it.Key, &it.Priority, &it.Attempt, &it.MaxAttempts, &it.Token, &enqueued, &deadline,
		&cancelled, &exhausted, &it.Trace.Parent, &it.Trace.State, &meta, &body)
	if err != nil {
		return c, err
	}
	it.Enqueued, it.Deadline = instant(enqueued), instant(deadline)
	if len(body) > 0 {
		it.Input, it.Body = body, pipeline.RawBody(body, pipeline.MediaJSON)
	}
	if meta.Valid {
		err = json.Unmarshal([]byte(meta.String), &it.Meta)
	}
	switch {
	case cancelled:
		it.Condemned = pipeline.CancelledItem()
	case deadline > 0 && deadline <= t.now:
		it.Condemned = pipeline.DeadlineExceeded(it.Deadline)
	case exhausted:
		it.Condemned = pipeline.AttemptsExhausted(it.Attempt)
	case err != nil: // one bad item must not stop the others
		it.Condemned = unreadable(err)
		it.Attempt-- // SQL has counted it
		c.unreadable = true
	}
	return c, nil
}

func unreadable(err error) *pipeline.Error {
	return pipeline.Fail("unreadable", "the item's meta: %w", err).WithHint("the file was changed by something else; drop the item")
}

const (
	inHeld = `items INDEXED BY items_held`
	inLate = `items INDEXED BY items_deadline`
	isDue  = ` WHERE queue=?1 AND state=0 AND hold>0 AND hold=1 AND not_before<=?2`
	isLate = ` WHERE queue=?1 AND state=0 AND hold=1 AND deadline>0 AND deadline<=?2`

	lookAround = `SELECT paused, EXISTS(SELECT 1 FROM ` + inHeld + isDue + `) OR EXISTS(SELECT 1 FROM ` + inLate + isLate + `)
		FROM queues WHERE id=?1`
	sweepDelayed = `UPDATE ` + inHeld + ` SET hold=0` + isDue
	sweepLate    = `UPDATE ` + inLate + ` SET hold=0` + isLate
)

// sweep makes delayed items claimable whose time has come, or whose deadline has
// passed, unless the queue is paused. With nothing due it costs three index
// seeks. Once is enough for all claims of a transaction: none of its callers has
// returned yet, so each claim may count as made before what the others did.
func (q *Queue) sweep(t *tx) (paused bool, err error) {
	if paused, looked := t.paused[q.id]; looked {
		return paused, nil
	}
	due := false
	err = t.query(func(r *sql.Rows) error { return r.Scan(&paused, &due) }, lookAround, q.id, t.now)
	if err != nil {
		return false, err
	}
	if t.paused == nil {
		t.paused = map[int64]bool{}
	}
	t.paused[q.id] = paused
	if paused || !due {
		return paused, nil
	}
	for _, sweep := range [...]string{sweepDelayed, sweepLate} {
		if _, err := t.exec(sweep, q.id, t.now); err != nil {
			return false, err
		}
	}
	return false, nil
}

// row is what the upkeep of an item needs.
type row struct {
	seq      int64
	key      string
	attempts int
	frees    bool // its end makes its idempotency key free
}

const rowColumns = `seq, coalesce(key,''), attempts, idem_held AND idem_active`

func scanRow(r *sql.Rows, out *[]row) error {
	var it row
	err := r.Scan(&it.seq, &it.key, &it.attempts, &it.frees)
	*out = append(*out, it)
	return err
}
