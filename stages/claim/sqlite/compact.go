package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// compactBatch is how many ended items one transaction looks at, and
	// vacuumPages how many pages one gives back: between two of them everybody
	// else gets a turn.
	compactBatch = 256
	vacuumPages  = "256"
)

// Compact deletes items that were done at least keep ago and gives the pages that
// are free back to the file system, both in small transactions between which
// others write. A file that a release before schema version 2 made cannot give
// pages back one by one: the first Compact rewrites it as a whole, for which
// everybody else waits.
func (q *Queue) Compact(ctx context.Context, keep time.Duration) (pipeline.Compaction, error) {
	var c pipeline.Compaction
	var err error
	if c.Before, err = q.size(ctx); err != nil {
		return c, q.fail("compact", err)
	}
	if c.Deleted, err = q.forget(ctx, keep); err != nil {
		return c, q.fail("compact", err)
	}
	if err := q.giveBack(ctx); err != nil {
		return c, q.fail("compact", err)
	}
	c.After, err = q.size(ctx)
	return c, q.fail("compact", err)
}

const doneAfter = `SELECT seq, ended FROM items INDEXED BY items_ended WHERE queue=? AND state>=2 AND state=? AND seq>? ORDER BY seq` + limit

// forget deletes what was done long enough ago, batch by batch in the order of the
// queue.
func (q *Queue) forget(ctx context.Context, keep time.Duration) (deleted int64, err error) {
	last := int64(0)
	for more := true; more; {
		n := int64(0)
		err := q.writes.do(ctx, true, func(t *tx) (err error) {
			n, more, err = q.forgetBatch(t, t.now-keep.Milliseconds(), &last)
			return err
		})
		if err != nil {
			return deleted, err
		}
		deleted += n
	}
	return deleted, nil
}

// forgetBatch looks at the next items behind last, and moves it on.
func (q *Queue) forgetBatch(t *tx, before int64, last *int64) (deleted int64, more bool, err error) {
	at, seen := *last, 0
	var old []int64
	err = t.query(func(r *sql.Rows) error {
		var ended int64
		err := r.Scan(&at, &ended)
		if seen++; ended <= before {
			old = append(old, at)
		}
		return err
	}, doneAfter, q.id, stateDone, at, compactBatch)
	if err != nil {
		return 0, false, err
	}
	for _, seq := range old {
		if err := erase(t, seq); err != nil {
			return 0, false, err
		}
	}
	*last = at
	return int64(len(old)), seen == compactBatch, nil
}

// giveBack shortens the file by its free pages.
func (q *Queue) giveBack(ctx context.Context) error {
	if err := q.rewrite(ctx); err != nil {
		return err
	}
	if err := q.vacuum(ctx); err != nil {
		return err
	}
	return q.emptyLog(ctx)
}

// emptyLog moves what only the log has into the file and cuts the log off. The
// second step must be alone with the file, and waits for nobody: where it is not,
// the log keeps its length until it is used up.
func (q *Queue) emptyLog(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(q.path, "rw", "busy_timeout(0)"))
	if err != nil {
		return err
	}
	q.set.point("compact: before the checkpoint")
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(TRUNCATE)")
	q.set.point("compact: after the checkpoint")
	return errors.Join(err, db.Close())
}

// vacuum gives free pages back, some per transaction.
func (q *Queue) vacuum(ctx context.Context) error {
	for {
		free, err := q.freePages(ctx)
		if err != nil || free == 0 {
			return err
		}
		err = q.writes.do(ctx, true, func(t *tx) error {
			_, err := t.exec(`PRAGMA incremental_vacuum(` + vacuumPages + `)`)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// rewrite makes a file anew that cannot be shortened otherwise, so that from
// then on it can. The connection is a new one: those that are open do not notice
// that another has rewritten the file.
func (q *Queue) rewrite(ctx context.Context) error {
	db, err := sql.Open("sqlite", dsn(q.path, "rw"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // the pragma is for the connection that rewrites
	var mode int
	err = db.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&mode)
	if err == nil && mode == 0 {
		q.set.point("compact: before the file is rewritten")
		_, err = db.ExecContext(ctx, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM")
		q.set.point("compact: the file is rewritten")
	}
	return errors.Join(err, db.Close())
}

func (q *Queue) freePages(ctx context.Context) (n int64, err error) {
	err = q.reads.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&n)
	return n, err
}

// size is what the file takes up, with its log.
func (q *Queue) size(ctx context.Context) (int64, error) {
	size := int64(0)
	for _, name := range [...]string{q.path, q.path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			if name != q.path && errors.Is(err, os.ErrNotExist) {
				continue
			}
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}
