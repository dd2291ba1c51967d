package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

// fillAndEnd puts n large items into the queue and ends them.
func fillAndEnd(t *testing.T, q *sqlite.Queue, n int) {
	t.Helper()
	items := make([]pipeline.NewItem, n)
	for i := range items {
		items[i] = pipeline.NewItem{Body: fmt.Appendf(nil, "%q", strings.Repeat("x", 4000))}
	}
	if _, err := q.Enqueue(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	if _, err := claimtest.Queue(q).ClaimAck(n); err != nil {
		t.Fatal(err)
	}
}

// TestCompact: the file gets smaller in many small transactions, and between any
// two of them another process can write.
func TestCompact(t *testing.T) {
	const n = 1000
	path := filepath.Join(t.TempDir(), "q.db")
	var between func(name string)
	q, err := open(sqlite.Driver(sqlite.WithPoints(func(name string) {
		if between != nil {
			between(name)
		}
	})), path, pipeline.QueueOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	fillAndEnd(t, q, n)
	other := mustOpen(t, path, pipeline.QueueOptions{})
	commits := 0
	between = func(name string) {
		if name != "committed" {
			return
		}
		commits++
		if _, err := other.Enqueue(t.Context(), []pipeline.NewItem{{Priority: 9}}); err != nil {
			t.Errorf("enqueue after commit %d of the compaction: %v", commits, err)
		}
		if items, err := other.Claim(t.Context(), 1); len(items) != 1 || err != nil {
			t.Errorf("claimed %d after commit %d of the compaction, error %v", len(items), commits, err)
		}
	}
	c, err := q.Compact(t.Context(), 0)
	between = nil
	if err != nil || c.Deleted != n || c.Before < n*4000 || c.After > c.Before/4 {
		t.Errorf("compaction %+v, error %v; want %d deleted and three quarters given back", c, err, n)
	}
	if commits < 2*n/256 {
		t.Errorf("%d transactions for %d items", commits, n)
	}
	if s, err := q.Stats(t.Context()); s.Leased != int64(commits) || s.Done != 0 || err != nil {
		t.Errorf("stats %+v, error %v; want the %d leased ones of meanwhile", s, err, commits)
	}
	checkFile(t, path, 2)
}

// TestCompactOldFile: a file that was made before pages could be given back one
// by one is rewritten once.
func TestCompactOldFile(t *testing.T) {
	path, rewrites := version1File(t), 0
	q, err := open(sqlite.Driver(sqlite.WithPoints(func(name string) {
		if name == "compact: the file is rewritten" {
			rewrites++
		}
	})), path, pipeline.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	if _, err := claimtest.Queue(q).ClaimAck(20); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		fillAndEnd(t, q, 300)
		c, err := q.Compact(t.Context(), 0)
		if err != nil || c.Deleted < 300 || c.After > c.Before/2 {
			t.Errorf("compaction %d: %+v, error %v", round, c, err)
		}
	}
	if s, err := q.Stats(t.Context()); s.Done != 0 || err != nil {
		t.Errorf("stats %+v, error %v", s, err)
	}
	if rewrites != 1 {
		t.Errorf("the file was rewritten %d times, want once", rewrites)
	}
	checkFile(t, path, 2)
}
