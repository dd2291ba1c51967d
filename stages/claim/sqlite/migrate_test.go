package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

// version1Items is what the first release left in a file: items in every state
// and hold, under tokens of its third epoch.
const version1Items = `
PRAGMA application_id=0x77617962; PRAGMA user_version=1;
INSERT INTO queues(name) VALUES('default'), ('other');
UPDATE meta SET value=3 WHERE name='epoch';
UPDATE meta SET value=2000007 WHERE name='dropped';
INSERT INTO items(queue,id,key,idem,state,hold,priority,attempts,expired,max_attempts,token,owner,enqueued,not_before,deadline,lease_until,ended,result,digest) VALUES
 (1,'ready',  NULL,'x', 0,0,0,0,0,0,2000007,'',     1000,0,0,0,0,'',''),
 (1,'delayed',NULL,NULL,0,1,5,1,0,0,3000001,'',     1000,60000,0,0,0,'',''),
 (1,'late',   NULL,NULL,0,1,0,0,0,0,2000007,'',     1000,90000,30000,0,0,'',''),
 (1,'head',   'k', NULL,0,0,9,0,0,0,2000007,'',     1000,0,0,0,0,'',''),
 (1,'behind', 'k', NULL,0,2,9,0,0,0,2000007,'',     1000,0,0,0,0,'',''),
 (1,'leased', 'l', NULL,1,0,0,1,0,0,3000002,'old',  1000,0,0,31000,0,'',''),
 (1,'waits',  'l', NULL,0,2,0,0,0,0,2000007,'',     1000,0,0,0,0,'',''),
 (1,'tired',  NULL,NULL,0,0,8,2,1,2,3000003,'',     1000,0,0,0,0,'',''),
 (1,'done',   'k', 'y', 2,0,0,1,0,0,3000004,'old',  1000,0,0,0,2000,'succeeded','sha256:aa'),
 (1,'dead',   'd', 'z', 3,0,0,1,0,0,3000005,'old',  1000,0,0,0,2000,'dead',''),
 (2,'apart',  'k', 'x', 0,0,0,0,0,0,2000007,'',     1000,0,0,0,0,'','');
INSERT INTO payloads SELECT seq, '{"m":"1"}', CAST('"'||id||'"' AS BLOB) FROM items;
INSERT INTO events(seq,at,attempt,what,kind,code,stage,error) SELECT seq,2000,1,'dead','permanent','no-page','fetch','404' FROM items WHERE id='dead';
`

// version1File makes a file as the first release did, and returns its path.
func version1File(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "q.db")
	execSQL(t, path, "PRAGMA journal_mode=WAL;"+sqlite.Version1+version1Items)
	return path
}

// epochStart is when the items of version1Items were enqueued.
var epochStart = time.UnixMilli(1000)

func openAt(t *testing.T, path string, c *clock, o pipeline.QueueOptions) *sqlite.Queue {
	t.Helper()
	q, err := open(sqlite.Driver(sqlite.WithClock(c.Now)), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func claimed(t *testing.T, q *sqlite.Queue, max int) []string {
	t.Helper()
	items, err := q.Claim(t.Context(), max)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, it := range items {
		out = append(out, strings.TrimSpace(it.ID+" "+pipeline.CodeOf(it.Condemned)))
		if string(it.Input) != fmt.Sprintf("%q", it.ID) || it.Meta["m"] != "1" {
			t.Errorf("%s came with body %s and meta %v", it.ID, it.Input, it.Meta)
		}
		if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead, Cause: it.Condemned}); err != nil {
			t.Error(err)
		}
	}
	return out
}

// TestMigration: a file of the first release goes on as if nothing had happened,
// for the workers of before too.
func TestMigration(t *testing.T) {
	path, c := version1File(t), &clock{now: epochStart.Add(20 * time.Second)}
	q := openAt(t, path, c, pipeline.QueueOptions{MaxAttempts: 2, Lanes: func() pipeline.LaneSet { return 1 << pipeline.LaneOf("k") }})
	want := pipeline.QueueStats{Ready: 7, Leased: 1, Done: 1, Dead: 1, Enqueued: 10, Delayed: 2, AgeSeconds: 20}
	if s, err := q.Stats(t.Context()); s != want || err != nil {
		t.Errorf("stats %+v, error %v; want %+v", s, err, want)
	}
	if d := cmp.Diff([]string{"head", "tired attempts-exhausted", "ready"}, claimed(t, q, 9)); d != "" {
		t.Errorf("claimed (-want +got):\n%s", d)
	}
	got, err := q.Enqueue(t.Context(), []pipeline.NewItem{{IdempotencyKey: "x"}, {IdempotencyKey: "y"}, {IdempotencyKey: "z"}})
	if d := cmp.Diff([]pipeline.Enqueued{{ID: "ready", Duplicate: true}, {ID: "done", Duplicate: true}, {ID: "dead", Duplicate: true}}, got); d != "" || err != nil {
		t.Errorf("idempotency keys: error %v (-want +got):\n%s", err, d)
	}
	old := &pipeline.Item{ID: "leased", Key: "l", Token: 3000002}
	if lost, err := q.Renew(t.Context(), []*pipeline.Item{old}); len(lost) != 0 || err != nil {
		t.Errorf("the lease of before is lost: %v, error %v", lost, err)
	}
	if err := q.Ack(t.Context(), old, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
		t.Errorf("the worker of before cannot end its item: %v", err)
	}
	c.Advance(time.Minute)
	if d := cmp.Diff([]string{"behind", "delayed", "late deadline-exceeded"}, claimed(t, q, 9)); d != "" {
		t.Errorf("claimed a minute later, \"waits\" is of another lane (-want +got):\n%s", d)
	}
	all := openAt(t, path, c, pipeline.QueueOptions{})
	if n, err := all.Retry(t.Context(), pipeline.Filter{IDs: []string{"dead"}}); n != 1 || err != nil {
		t.Errorf("retried %d, error %v", n, err)
	}
	if d := cmp.Diff([]string{"waits", "dead"}, claimed(t, all, 9)); d != "" {
		t.Errorf("claimed with all lanes (-want +got):\n%s", d)
	}
	e, err := all.Show(t.Context(), "dead")
	if err != nil || len(e.History) != 3 || e.History[0].Code != "no-page" || e.Token <= 3000005 {
		t.Errorf("the dead one is %+v, error %v; want its history and a new token", e, err)
	}
	if s, err := openAt(t, path, c, pipeline.QueueOptions{Queue: "other"}).Stats(t.Context()); s.Ready != 1 || err != nil {
		t.Errorf("the other queue: %+v, error %v", s, err)
	}
	checkFile(t, path, 2)
}

// TestMigrationTogether: several processes meet a file of the first release.
func TestMigrationTogether(t *testing.T) {
	path := version1File(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			q, err := open(sqlite.Driver(), path, pipeline.QueueOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			defer q.Close()
			if n, err := q.Count(t.Context(), pipeline.Filter{}); n != 10 || err != nil {
				t.Errorf("counted %d items, error %v", n, err)
			}
		})
	}
	wg.Wait()
	checkFile(t, path, 2)
}

// TestMigrationFails: a file that cannot be brought up to date stays as it is.
func TestMigrationFails(t *testing.T) {
	path := version1File(t)
	execSQL(t, path, "CREATE TABLE records(mine)") // in the way
	if _, err := open(sqlite.Driver(), path, pipeline.QueueOptions{}); err == nil {
		t.Fatal("the migration succeeded")
	}
	checkFile(t, path, 1)
}

// checkFile looks at a file with SQLite alone.
func checkFile(t *testing.T, path string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var is int
	var integrity string
	err = errors.Join(db.QueryRow("PRAGMA user_version").Scan(&is), db.QueryRow("PRAGMA integrity_check").Scan(&integrity))
	if is != version || integrity != "ok" || err != nil {
		t.Errorf("schema version %d, want %d; integrity %s, error %v", is, version, integrity, err)
	}
}

// TestOldProducer: a process of the first release that had the file open before it was
// migrated knows no lanes. An item with a key it may not add; one without is as good as
// ever.
func TestOldProducer(t *testing.T) {
	path := version1File(t)
	c := &clock{now: epochStart}
	q := openAt(t, path, c, pipeline.QueueOptions{})
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	enqueue := func(id string, key any) error {
		_, err := old.ExecContext(t.Context(), `INSERT INTO items(queue,id,key,hold,priority,max_attempts,enqueued,not_before,deadline) VALUES(1,?,?,0,0,0,1000,0,0)`, id, key)
		return err
	}
	if err := enqueue("keyed", "k"); err == nil || !strings.Contains(err.Error(), "older release") {
		t.Errorf("an item with a key and no lane: %v", err)
	}
	if err := enqueue("free", nil); err != nil {
		t.Error(err)
	}
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "new", Key: "k"}}); err != nil {
		t.Error(err)
	}
}
