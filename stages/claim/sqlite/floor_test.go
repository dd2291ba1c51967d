package sqlite_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
)

// BenchmarkFloor is what SQLite itself takes for the life of an item, in the
// driver's own tables: the statements prepared, an enqueue of n items in one
// transaction, a claim of n in one and their acknowledgement in another. What must
// be durable is flushed; claims need not be. Workers take turns, each with its own
// transactions: there is no group commit here.
func BenchmarkFloor(b *testing.B) { claimtest.Speed(b, newFloor) }

const (
	floorItem    = `INSERT INTO items(queue, id, priority, max_attempts, enqueued, not_before, deadline) VALUES(1, ?, 0, 0, 1, 0, 0)`
	floorPayload = `INSERT INTO payloads(seq, body) VALUES(last_insert_rowid(), ?)`
	floorClaim   = `UPDATE items SET state=1, attempts=attempts+1, token=token+1, owner=?, lease_until=?
		WHERE seq IN (SELECT seq FROM items INDEXED BY items_free WHERE queue=1 AND state=0 AND hold=0 AND lane IS NULL
			ORDER BY priority DESC, seq LIMIT 0+?)
		RETURNING seq, id, priority, attempts, token, (SELECT body FROM payloads p WHERE p.seq=items.seq)`
	floorAck = `UPDATE items SET state=2, result=?, ended=?, lease_until=0 WHERE queue=1 AND id=? AND token=? AND state=1`
)

// floor is one connection with its prepared statements.
type floor struct {
	mu    sync.Mutex
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	body  []byte
}

func newFloor(b *testing.B) claimtest.Racer {
	b.Helper()
	path := filepath.Join(b.TempDir(), "floor.db")
	if err := mustOpen(b, path, pipeline.QueueOptions{Create: true}).Close(); err != nil { // makes the tables
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	f := &floor{stmts: map[string]*sql.Stmt{}, body: claimtest.SpeedBody()}
	if f.conn, err = db.Conn(b.Context()); err == nil {
		_, err = f.conn.ExecContext(b.Context(), `PRAGMA journal_mode=WAL; PRAGMA cache_size=-16000`)
	}
	for _, text := range []string{"BEGIN IMMEDIATE", "COMMIT", floorItem, floorPayload, floorClaim, floorAck} {
		if err == nil {
			f.stmts[text], err = f.conn.PrepareContext(context.Background(), text)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return claimtest.Racer{Enqueue: f.enqueue, ClaimAck: f.claimAck, Ended: f.ended}
}

func (f *floor) enqueue(n int) error {
	return f.transaction(true, func() error {
		for range n {
			_, err := f.stmts[floorItem].Exec(rand.Text())
			if err == nil {
				_, err = f.stmts[floorPayload].Exec(f.body)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type holding struct {
	seq, token         int64
	id                 string
	priority, attempts int
	body               []byte
}

func (f *floor) claimAck(n int) (int, error) {
	got := make([]holding, 0, n)
	err := f.transaction(false, func() error {
		rows, err := f.stmts[floorClaim].Query("owner", 1<<40, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var it holding
			if err := rows.Scan(&it.seq, &it.id, &it.priority, &it.attempts, &it.token, &it.body); err != nil {
				return err
			}
			got = append(got, it)
		}
		return rows.Err()
	})
	if err != nil {
		return 0, err
	}
	return len(got), f.transaction(true, func() error {
		for _, it := range got {
			r, err := f.stmts[floorAck].Exec("succeeded", 1<<40, it.id, it.token)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); n != 1 || err != nil {
				return errors.Join(errors.New("the lease is lost"), err)
			}
		}
		return nil
	})
}

func (f *floor) ended() (n int64, err error) {
	err = f.conn.QueryRowContext(context.Background(), `SELECT count(*) FROM items WHERE state=2`).Scan(&n)
	return n, err
}

func (f *floor) transaction(durable bool, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	mode := "PRAGMA synchronous=NORMAL"
	if durable {
		mode = "PRAGMA synchronous=FULL"
	}
	_, err := f.conn.ExecContext(context.Background(), mode)
	if err == nil {
		_, err = f.stmts["BEGIN IMMEDIATE"].Exec()
	}
	if err == nil {
		err = do()
	}
	if err == nil {
		_, err = f.stmts["COMMIT"].Exec()
	}
	return err
}
