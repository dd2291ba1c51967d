package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

func mustOpen(t testing.TB, path string, o pipeline.QueueOptions) *sqlite.Queue {
	t.Helper()
	q, err := open(sqlite.Driver(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func execSQL(t testing.TB, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.Exec(text)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	execSQL(t, path("foreign.db"), "CREATE TABLE t(x)")
	if err := mustOpen(t, path("newer.db"), pipeline.QueueOptions{Create: true}).Close(); err != nil {
		t.Fatal(err)
	}
	execSQL(t, path("newer.db"), "PRAGMA user_version=99")
	text := strings.Repeat("not a database\n", 100)
	for name, content := range map[string]string{"text.db": text, "empty.db": ""} {
		if err := os.WriteFile(path(name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		url    string
		o      pipeline.QueueOptions
		code   string
		noMore string
	}{
		{"sqlite:foreign.db", pipeline.QueueOptions{Create: true}, "not-a-queue", "another program"},
		{"sqlite:newer.db", pipeline.QueueOptions{Create: true}, "newer-queue", "schema version 99"},
		{"sqlite:text.db", pipeline.QueueOptions{Create: true}, "not-a-queue", "not a SQLite database"},
		{"sqlite:empty.db", pipeline.QueueOptions{}, "no-queue", "the file is empty"},
		{"sqlite:none.db", pipeline.QueueOptions{}, "no-queue", "does not exist"},
		{"sqlite:", pipeline.QueueOptions{}, "bad-url", "names no file"},
		{"mongodb:x", pipeline.QueueOptions{}, "bad-url", "not a sqlite: URL"},
		{"sqlite:text.db/under/a/file.db", pipeline.QueueOptions{Create: true}, "queue-failed", "not a directory"},
		{"sqlite:x.db", pipeline.QueueOptions{Format: "csv"}, "bad-option", "one-shot"},
	} {
		tc.o.Dir = dir
		src, err := sqlite.Driver().Open(t.Context(), tc.url, tc.o)
		if pipeline.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.noMore) || src != nil {
			t.Errorf("%s: error %v (code %s), want %s: %s", tc.url, err, pipeline.CodeOf(err), tc.code, tc.noMore)
		}
	}
	if got, _ := os.ReadFile(path("text.db")); string(got) != text {
		t.Error("a file that is no database was changed")
	}
	if _, err := os.Stat(path("none.db")); err == nil {
		t.Error("looking for a file made it")
	}
}

func TestCorruptFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	for range 4 {
		if _, err := q.Enqueue(t.Context(), make([]pipeline.NewItem, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[4096:], bytes.Repeat([]byte{0xa5}, len(data)-4096)) // all but the first page
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	q, err = open(sqlite.Driver(), path, pipeline.QueueOptions{})
	if err == nil {
		defer q.Close()
		_, err = q.Claim(t.Context(), 1)
	}
	if pipeline.CodeOf(err) != "corrupt" {
		t.Errorf("error %v, want code corrupt", err)
	}
}

// TestDiskFull uses SQLite's own limit of pages; the code path of a full disk
// is the same.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	limitPages(t, q, 40)
	var err error
	stored := int64(0)
	body := fmt.Appendf(nil, "%q", strings.Repeat("x", 5000))
	for err == nil && stored < 1000 {
		if _, err = q.Enqueue(t.Context(), []pipeline.NewItem{{Body: body}, {Body: body}}); err == nil {
			stored += 2
		}
	}
	if pipeline.CodeOf(err) != "disk-full" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Fatalf("error %v, want code disk-full", err)
	}
	s, err := q.Stats(t.Context())
	if err != nil || s.Enqueued != stored {
		t.Errorf("stats %+v, error %v; want the %d items whose enqueue succeeded", s, err, stored)
	}
	limitPages(t, q, 100000)
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{Body: body}}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestLockedFile: writes that wait together for a lock fail together. Each
// having tried for itself would show as an error of its own.
func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	holder, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if _, err := holder.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	errs, err := sqlite.CommitTogether(q, 5)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if err == nil || err != errs[0] {
			t.Errorf("write %d: %v, want the one error of the group, %v", i, err, errs[0])
		}
	}
	if _, err := holder.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if errs, err = sqlite.CommitTogether(q, 2); err != nil || errs[0] != nil || errs[1] != nil {
		t.Errorf("with the lock free again: %v, %v", errs, err)
	}
}

func limitPages(t *testing.T, q *sqlite.Queue, n int) {
	t.Helper()
	if err := sqlite.LimitPages(q, n); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	if err := sqlite.MakeReadOnly(q); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), make([]pipeline.NewItem, 1)); pipeline.CodeOf(err) != "read-only" {
		t.Errorf("error %v, want code read-only", err)
	}
}

// TestOpenTogether lets many processes' worth of openers race for a file that
// is not there yet.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "q.db")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			q, err := open(sqlite.Driver(), path, pipeline.QueueOptions{Create: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer q.Close()
			if _, err := q.Enqueue(context.Background(), []pipeline.NewItem{{ID: fmt.Sprint(i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	q := mustOpen(t, path, pipeline.QueueOptions{})
	if s, err := q.Stats(t.Context()); s.Ready != 8 || err != nil {
		t.Errorf("stats %+v, error %v; want 8 ready", s, err)
	}
}

// TestReaper waits for the real one: the condition is that the item comes back.
func TestReaper(t *testing.T) {
	q := mustOpen(t, filepath.Join(t.TempDir(), "q.db"), pipeline.QueueOptions{Create: true, Lease: 40 * time.Millisecond})
	if _, err := q.Enqueue(t.Context(), make([]pipeline.NewItem, 1)); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 2; {
		items, err := q.Claim(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Attempt != attempt {
				t.Fatalf("attempt %d, want %d", it.Attempt, attempt)
			}
			attempt++
		}
	}
}

// TestTokensAfterPowerLoss rolls the file back to before a claim, as a power
// cut may: the token of that claim must not be given out again, also if the item
// came with a token of another store.
func TestTokensAfterPowerLoss(t *testing.T) {
	for name, token := range map[string]int64{"enqueued": 0, "imported": 7_123_456_789} {
		t.Run(name, func(t *testing.T) { powerLoss(t, token) })
	}
}

func powerLoss(t *testing.T, token int64) {
	path := filepath.Join(t.TempDir(), "q.db")
	q := mustOpen(t, path, pipeline.QueueOptions{Create: true})
	var err error
	if token == 0 {
		_, err = q.Enqueue(t.Context(), make([]pipeline.NewItem, 1))
	} else {
		_, err = q.Import(t.Context(), []pipeline.Entry{{ID: "a", State: pipeline.StateReady, Token: token}})
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := q.Claim(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	// The claim is undone; the epoch was on disk before it was made.
	execSQL(t, path, fmt.Sprint("UPDATE items SET state=0, attempts=0, token=", token))
	q = mustOpen(t, path, pipeline.QueueOptions{})
	after, err := q.Claim(t.Context(), 1)
	if err != nil || len(after) != 1 || after[0].Token <= before[0].Token {
		t.Fatalf("claimed %+v, error %v; want a token above %d", after, err, before[0].Token)
	}
	if err := q.Ack(t.Context(), before[0], pipeline.Outcome{Result: pipeline.Succeeded}); !errors.Is(err, pipeline.ErrLeaseLost) {
		t.Errorf("the worker from before the power cut: %v, want ErrLeaseLost", err)
	}
}

// TestPlans: what runs for each item must be an index search, not a scan, so
// that a million ended items cost nothing.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	mustOpen(t, path, pipeline.QueueOptions{Create: true})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range sqlite.HotQueries() {
		if strings.Contains(query, "LIMIT ?") {
			t.Errorf("%s\nis prepared anew each time: see limit", query)
		}
		rows, err := db.Query("EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(detail, "SCAN items") || strings.Contains(detail, "SCAN i") || strings.Contains(detail, "TEMP B-TREE") ||
				!strings.Contains(query, "count(") && strings.Contains(detail, "items_ended") && !strings.Contains(query, "items_ended") {
				t.Errorf("%s\nscans: %s", query, detail)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
