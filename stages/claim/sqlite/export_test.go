package sqlite

import (
	"context"
	"fmt"
)

// LimitPages sets how many pages the file may have: a full disk.
func LimitPages(q *Queue, n int) error {
	return q.writes.do(context.Background(), true, func(t *tx) error {
		_, err := q.writes.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count=%d", n))
		return err
	})
}

// MakeReadOnly refuses writes, as a file without the right to write does.
func MakeReadOnly(q *Queue) error {
	return q.writes.do(context.Background(), true, func(t *tx) error {
		_, err := q.writes.conn.ExecContext(context.Background(), "PRAGMA query_only=1")
		return err
	})
}

// WithPoints calls point between every two durable steps.
func WithPoints(point func(name string)) Option {
	return func(s *settings) { s.point = point }
}

// Version1 is the schema of the first release.
const Version1 = version1

// HotQueries are the statements that run for each item or each poll.
func HotQueries() []string {
	hot := []string{
		lookAround, sweepDelayed, sweepLate, lowestPriority, leasePicked,
		ackPlain, findLease, renewLease, findExpired, clearKey, headOfKey,
		holderOfKey, itemByID, readStats, readPending, doneAfter,
	}
	for _, lanes := range []int{allLanes, 0, 1, 2, 63} {
		hot = append(hot, pickFirst(lanes), pickOldest(lanes))
	}
	return hot
}

// CommitTogether makes one group of n writes, the busy timeout as short as it
// gets, and returns what became of each.
func CommitTogether(q *Queue, n int) ([]error, error) {
	if _, err := q.writes.conn.ExecContext(context.Background(), "PRAGMA busy_timeout=1"); err != nil {
		return nil, err
	}
	group := make([]*op, n)
	for i := range group {
		group[i] = &op{durable: true, run: func(t *tx) error { return nil }}
	}
	q.writes.commit(group) // the loop is idle: nothing was claimed, no reaper runs
	errs := make([]error, n)
	for i, o := range group {
		errs[i] = o.err
	}
	return errs, nil
}
