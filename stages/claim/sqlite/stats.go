package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Each state has an index of its own, and is counted in it. Parameters: queue,
// now.
const (
	inLeased = ` FROM items INDEXED BY items_leased WHERE queue=?1 AND state=1`
	inEnded  = ` FROM items INDEXED BY items_ended WHERE queue=?1 AND state>=2 AND state=`
	inReady  = ` FROM items INDEXED BY items_held WHERE queue=?1 AND state=0 AND hold>0`
	inDue    = ` FROM ` + inHeld + isDue
	inTooOld = ` FROM ` + inLate + isLate

	countReady = `(SELECT count(*)` + inFree + `)+(SELECT count(*)` + inKeyed + `)+(SELECT count(*)` + inReady + `)`

	// Of each priority the first in the order of claims, and what nobody has
	// found due yet.
	oldestEnqueued = `SELECT min(e) FROM (
		SELECT (SELECT enqueued` + inFree + ` AND priority=p.value ORDER BY seq LIMIT 1) AS e FROM json_each('[0,1,2,3,4,5,6,7,8,9]') p
		UNION ALL SELECT (SELECT enqueued` + inKeyed + ` AND priority=p.value ORDER BY seq LIMIT 1) FROM json_each('[0,1,2,3,4,5,6,7,8,9]') p
		UNION ALL SELECT min(enqueued)` + inDue + `
		UNION ALL SELECT min(enqueued)` + inTooOld + `)`

	readStats = `SELECT ` + countReady + `, (SELECT count(*)` + inLeased + `), (SELECT count(*)` + inEnded + `2), (SELECT count(*)` + inEnded + `3),
		(SELECT count(*)` + inReady + ` AND hold=1 AND not_before>?2 AND NOT ` + late + `),
		(SELECT paused FROM queues WHERE id=?1), (` + oldestEnqueued + `)`

	readPending = `SELECT ` + countReady + `+(SELECT count(*)` + inLeased + `),
		(SELECT min(not_before)` + inReady + ` AND hold=1),
		(SELECT min(deadline) FROM ` + inLate + ` WHERE queue=?1 AND state=0 AND hold=1 AND deadline>0)`
)

// Stats counts in one statement, so that the numbers are of one moment. The age
// is exact as long as nothing was imported or moved here: what was is counted as
// younger than it is if older ones of its priority are before it.
func (q *Queue) Stats(ctx context.Context) (pipeline.QueueStats, error) {
	var s pipeline.QueueStats
	var oldest sql.NullInt64
	now := q.now().UnixMilli()
	err := q.reads.QueryRowContext(ctx, readStats, q.id, now).
		Scan(&s.Ready, &s.Leased, &s.Done, &s.Dead, &s.Delayed, &s.Paused, &oldest)
	if err != nil {
		return pipeline.QueueStats{}, q.fail("stats", err)
	}
	s.Enqueued = s.Ready + s.Leased + s.Done + s.Dead
	if oldest.Valid {
		s.AgeSeconds = float64(max(0, now-oldest.Int64)) / 1000
	}
	return s, nil
}

// Pending counts the items that are not at their end. A deadline ends a delay.
func (q *Queue) Pending(ctx context.Context) (n int64, next time.Time, err error) {
	var ready, late sql.NullInt64
	err = q.reads.QueryRowContext(ctx, readPending, q.id).Scan(&n, &ready, &late)
	if late.Valid && late.Int64 < ready.Int64 {
		ready = late
	}
	return n, instant(ready.Int64), q.fail("pending", err)
}
