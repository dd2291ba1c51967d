package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"time"
)

// maxGroup bounds one transaction, so that a caller never waits for more than
// this many others.
const maxGroup = 256

var errClosed = errors.New("the queue is closed")

// writer owns the only writing connection of an opened queue and commits in
// groups.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	clock func() time.Time
	point func(name string) // where a test kills the process
	ring  func(queue int64) // tells that something may have become claimable
	ops   chan *op
	stop  chan struct{}
	done  chan struct{}
	full  bool // synchronous is FULL now
}

// op is one caller's part of a transaction. An op whose error is of its own
// making (a stale token) must not have written anything before.
type op struct {
	run     func(*tx) error
	durable bool
	err     error
	done    chan struct{}
}

// openWriter opens the connection, and the file as it must be.
func openWriter(ctx context.Context, dsn string, set settings, ring func(queue int64), create bool) (*writer, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	w := &writer{db: db, conn: conn, clock: set.clock, point: set.point, ring: ring, stmts: map[string]*sql.Stmt{},
		ops: make(chan *op, maxGroup), stop: make(chan struct{}), done: make(chan struct{}), full: true}
	if err := w.prepare(ctx, create); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	go w.loop()
	return w, nil
}

// prepare checks the schema before it changes anything: a foreign file stays
// as it is, its journal mode included.
func (w *writer) prepare(ctx context.Context, create bool) error {
	if err := w.checkSchema(ctx, create); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000`)
	return err
}

// do runs f in the next transaction and returns when that has ended. A durable
// one is on disk then. Once f is accepted ctx no longer matters: a claim that
// was made must reach its caller.
func (w *writer) do(ctx context.Context, durable bool, f func(*tx) error) error {
	o := &op{run: f, durable: durable, done: make(chan struct{})}
	select {
	case w.ops <- o:
		return w.wait(o)
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
}

// wait returns what became of the op. The loop may have ended between the
// op's being put into the channel and its being looked for there.
func (w *writer) wait(o *op) error {
	select {
	case <-o.done:
		return o.err
	case <-w.done:
	}
	select {
	case <-o.done:
		return o.err
	default:
		return errClosed
	}
}

func (w *writer) loop() {
	defer close(w.done)
	group := make([]*op, 0, maxGroup)
	for {
		stopped := false
		select {
		case o := <-w.ops:
			group = append(group[:0], o)
		case <-w.stop:
			group, stopped = group[:0], true
		}
		if group = w.gather(group); len(group) == 0 && stopped {
			return
		}
		w.commit(group)
		for _, o := range group {
			close(o.done)
		}
	}
}

// gather adds everybody who waits already, and whoever is just about to: callers
// whom the last commit has woken come back at the same time, and an fsync costs more
// than to let them run first.
func (w *writer) gather(group []*op) []*op {
	for yielded := false; len(group) < maxGroup; {
		select {
		case o := <-w.ops:
			group, yielded = append(group, o), false
		default:
			if yielded {
				return group
			}
			runtime.Gosched()
			yielded = true
		}
	}
	return group
}

// commit runs the group in one transaction. If the store fails in the middle,
// each op gets a transaction of its own, so that one caller's trouble stays its
// own. If one cannot even begin, that is nobody's own: all that are left fail at
// once, or each would wait for the same lock, one after the other.
func (w *writer) commit(group []*op) {
	if err := w.begin(group); err != nil {
		failAll(group, err)
		return
	}
	err := w.transaction(group)
	if err == nil || len(group) == 1 {
		failAll(group, err)
		return
	}
	for i := range group {
		if err := w.begin(group[i : i+1]); err != nil {
			failAll(group[i:], err)
			return
		}
		failAll(group[i:i+1], w.transaction(group[i:i+1]))
	}
}

// failAll gives the ops the store's error; nil leaves them their own.
func failAll(group []*op, err error) {
	if err == nil {
		return
	}
	for _, o := range group {
		o.err = err
	}
}

// begin takes the write lock. A group with a durable op is flushed.
func (w *writer) begin(group []*op) error {
	durable := false
	for _, o := range group {
		durable = durable || o.durable
	}
	if err := w.synchronous(durable); err != nil {
		return err
	}
	_, err := w.stmtExec("BEGIN IMMEDIATE")
	return err
}

// transaction runs all ops; the error is the store's. Errors of ops stay in
// the ops.
func (w *writer) transaction(group []*op) (err error) {
	t := &tx{w: w, now: w.clock().UnixMilli()}
	for _, o := range group {
		o.err = o.run(t)
		if t.failed != nil {
			break
		}
	}
	if err = t.failed; err == nil {
		w.point("before the commit")
		if _, err = w.stmtExec("COMMIT"); err == nil {
			w.point("committed")
			for queue := range t.woken {
				w.ring(queue)
			}
			return nil
		}
	}
	// SQLite has rolled back by itself after some errors (a full disk); then
	// this has nothing to do, and its error says only that.
	_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK")
	return err
}

// synchronous switches between an fsync per commit and none; see doc.go.
func (w *writer) synchronous(full bool) error {
	if w.full == full {
		return nil
	}
	mode := "NORMAL"
	if full {
		mode = "FULL"
	}
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA synchronous="+mode); err != nil {
		return err
	}
	w.full = full
	return nil
}

// close ends the loop and the connection. SQLite folds the log into the file
// when the last connection to it closes.
func (w *writer) close() error {
	close(w.stop)
	<-w.done
	for _, s := range w.stmts {
		_ = s.Close()
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if s := w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.stmts[query] = s
	}
	return s, err
}

func (w *writer) stmtExec(query string, args ...any) (sql.Result, error) {
	s, err := w.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// tx is a running transaction with its time. The first error of the store
// spoils it.
type tx struct {
	w      *writer
	now    int64 // Unix milliseconds, read under the write lock
	woken  map[int64]struct{}
	paused map[int64]bool // of the queues that a claim has looked at, see sweep
	failed error
}

// wake notes that an item of the queue may have become claimable.
func (t *tx) wake(queue int64) {
	if t.woken == nil {
		t.woken = map[int64]struct{}{}
	}
	t.woken[queue] = struct{}{}
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.w.stmtExec(query, args...)
	if err != nil {
		t.failed = err
		return 0, err
	}
	return r.RowsAffected()
}

// query calls scan for each row. Rows are read to the end before it returns,
// so that the next statement may write.
func (t *tx) query(scan func(*sql.Rows) error, query string, args ...any) error {
	err := func() error {
		s, err := t.w.stmt(query)
		if err != nil {
			return err
		}
		rows, err := s.Query(args...)
		if err != nil {
			return err
		}
		return eachRow(rows, scan)
	}()
	if err != nil {
		t.failed = err
	}
	return err
}

func eachRow(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
