package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
)

// agedEvery: of this many claims one takes the oldest item whatever its
// priority, so that nothing starves.
const agedEvery = 8

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
	var out []*pipeline.Item
	err := q.writes.do(ctx, false, func(t *tx) (err error) {
		out, err = q.claim(t, max)
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

// claim is the transaction: what is due is made ready, then items are picked.
func (q *Queue) claim(t *tx, max int) ([]*pipeline.Item, error) {
	if err := q.sweep(t); err != nil {
		return nil, err
	}
	// Every agedEvery-th claim, counted over all calls, takes the oldest.
	aged := (q.picks+int64(max))/agedEvery - q.picks/agedEvery
	var out []*pipeline.Item
	for range aged {
		got, err := q.lease(t, oldestClaimable, q.id)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	if rest := max - len(out); rest > 0 && len(out) == int(aged) {
		got, err := q.lease(t, firstClaimable, q.id, rest)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	q.picks += int64(len(out))
	return out, nil
}

const (
	// SQLite takes a partial index only where the statement repeats the index's
	// condition word by word, and silently reads the whole queue otherwise.
	// INDEXED BY makes that an error.
	firstClaimable = `SELECT seq FROM items INDEXED BY items_claimable WHERE queue=? AND state=0 AND hold=0 ORDER BY priority DESC, seq LIMIT ?`
	// One seek per priority.
	oldestClaimable = `SELECT min(first) FROM (SELECT (SELECT i.seq FROM items i INDEXED BY items_claimable
			WHERE i.queue=? AND i.state=0 AND i.hold=0 AND i.priority=p.value ORDER BY i.seq LIMIT 1) AS first
		FROM json_each('[0,1,2,3,4,5,6,7,8,9]') p)`
)

// Why an item is condemned. Only an expired lease uses attempts up: one that was
// given back is the business of who gave it back.
const (
	exhausted = `(expired AND coalesce(nullif(max_attempts,0), ?) BETWEEN 1 AND attempts)`
	late      = `(deadline>0 AND deadline<=?)`
)

// claimed is an item with its place in the queue.
type claimed struct {
	seq  int64
	item *pipeline.Item
}

// lease gives the picked items to us: state, attempts, token and the lease's
// end in one write. At most one item of a key is claimable, so a batch never
// has two. A condemned item gets a lease and a token, but no attempt.
func (q *Queue) lease(t *tx, pick string, args ...any) ([]*pipeline.Item, error) {
	var got []claimed
	args = append([]any{q.opt.MaxAttempts, t.now, q.opt.MaxAttempts, q.floor.Load(), q.opt.Owner, t.now + q.opt.Lease.Milliseconds()}, args...)
	err := t.query(func(r *sql.Rows) error {
		c, err := q.scanClaimed(t, r)
		got = append(got, c)
		return err
	}, `UPDATE items SET state=1, expired=`+exhausted+`, attempts=attempts+NOT(`+late+` OR `+exhausted+`),
			token=max(token, ?)+1, owner=?, lease_until=? WHERE seq IN (`+pick+`)
		RETURNING seq, id, coalesce(key,''), priority, attempts, max_attempts, token, enqueued, deadline, expired, traceparent, tracestate,
			(SELECT meta FROM payloads p WHERE p.seq=items.seq), (SELECT body FROM payloads p WHERE p.seq=items.seq)`, args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(got, func(a, b claimed) int { // RETURNING has no order
		return cmp.Or(cmp.Compare(b.item.Priority, a.item.Priority), cmp.Compare(a.seq, b.seq))
	})
	out := make([]*pipeline.Item, len(got))
	for i := range got {
		out[i] = got[i].item
	}
	return out, nil
}

func (q *Queue) scanClaimed(t *tx, r *sql.Rows) (claimed, error) {
	it := &pipeline.Item{Queue: q.name}
	c := claimed{item: it}
	var meta sql.NullString
	var enqueued, deadline int64
	var expired bool
	var body []byte
	err := r.Scan(&c.seq, &it.ID, &it.Key, &it.Priority, &it.Attempt, &it.MaxAttempts, &it.Token, &enqueued, &deadline, &expired,
		&it.Trace.Parent, &it.Trace.State, &meta, &body)
	if err != nil {
		return c, err
	}
	it.Enqueued, it.Deadline = instant(enqueued), instant(deadline)
	switch {
	case deadline > 0 && deadline <= t.now:
		it.Condemned = pipeline.DeadlineExceeded(it.Deadline)
	case expired:
		it.Condemned = pipeline.AttemptsExhausted(it.Attempt)
	}
	if len(body) > 0 {
		it.Input, it.Body = body, pipeline.RawBody(body, pipeline.MediaJSON)
	}
	if meta.Valid {
		if err := json.Unmarshal([]byte(meta.String), &it.Meta); err != nil {
			return c, fmt.Errorf("item %s: meta: %w", it.ID, err)
		}
	}
	return c, nil
}

const (
	sweepDelayed = `UPDATE items INDEXED BY items_held SET hold=0 WHERE queue=? AND state=0 AND hold>0 AND hold=1 AND not_before<=?`
	sweepLate    = `UPDATE items INDEXED BY items_deadline SET hold=0 WHERE queue=? AND state=0 AND hold=1 AND deadline>0 AND deadline<=?`
)

// sweep makes delayed items claimable whose time has come, or whose deadline has
// passed. With nothing due it costs two index seeks.
func (q *Queue) sweep(t *tx) error {
	for _, due := range [...]string{sweepDelayed, sweepLate} {
		if _, err := t.exec(due, q.id, t.now); err != nil {
			return err
		}
	}
	return nil
}

// row is what the upkeep of an item needs.
type row struct {
	seq      int64
	key      string
	attempts int
}

func scanRow(r *sql.Rows, out *[]row) error {
	var it row
	err := r.Scan(&it.seq, &it.key, &it.attempts)
	*out = append(*out, it)
	return err
}
