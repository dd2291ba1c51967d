package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/sqlite"
)

// BenchmarkQueue is to be compared with BenchmarkFloor.
func BenchmarkQueue(b *testing.B) {
	claimtest.Speed(b, func(b *testing.B) claimtest.Racer { return claimtest.Queue(freshQueue(b)) })
}

// BenchmarkWaiting shows that a claim costs the same whatever waits.
func BenchmarkWaiting(b *testing.B) {
	claimtest.Waiting(b, claimtest.RoundsFrom(b, os.Getenv("WAYBILL_BENCH_ROUNDS")), func(b *testing.B, waiting int) claimtest.Racer {
		return claimtest.Queue(crowded(b, waiting, "NULL", "NULL", nil))
	}, 1_000, 1_000_000)
}

// BenchmarkForeignLanes is the same with items that wait in a lane of others.
func BenchmarkForeignLanes(b *testing.B) {
	const mine, theirs = pipeline.LaneSet(0xffffffff), "40" // half of the lanes, and one of the other half
	claimtest.Waiting(b, claimtest.RoundsFrom(b, os.Getenv("WAYBILL_BENCH_ROUNDS")), func(b *testing.B, waiting int) claimtest.Racer {
		return claimtest.Queue(crowded(b, waiting, "'theirs'||i", theirs, func() pipeline.LaneSet { return mine }))
	}, 1_000, 1_000_000)
}

// BenchmarkBehindEnded shows that ended items do not slow claims down.
func BenchmarkBehindEnded(b *testing.B) {
	claimtest.Waiting(b, claimtest.RoundsFrom(b, os.Getenv("WAYBILL_BENCH_ROUNDS")), func(b *testing.B, done int) claimtest.Racer {
		r := claimtest.Queue(freshQueue(b))
		for range done / 1000 {
			if err := r.Enqueue(1000); err != nil {
				b.Fatal(err)
			}
			if _, err := r.ClaimAck(1000); err != nil {
				b.Fatal(err)
			}
		}
		return r
	}, 1_000, 100_000)
}

func freshQueue(b *testing.B) *sqlite.Queue {
	return mustOpen(b, filepath.Join(b.TempDir(), "q.db"), pipeline.QueueOptions{Create: true})
}

// crowded is a queue in which so many items wait. They are put into the file by
// SQL, for a million takes long otherwise.
func crowded(b *testing.B, waiting int, key, lane string, lanes func() pipeline.LaneSet) *sqlite.Queue {
	b.Helper()
	path := filepath.Join(b.TempDir(), "q.db")
	q := mustOpen(b, path, pipeline.QueueOptions{Create: true, Lanes: lanes})
	execSQL(b, path, fmt.Sprintf(`PRAGMA synchronous=OFF;
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)
		INSERT INTO items(queue, id, key, lane, priority, max_attempts, enqueued, not_before, deadline)
		SELECT 1, 'waits'||i, %s, %s, 0, 0, 1, 0, 0 FROM n;
		INSERT INTO payloads SELECT seq, NULL, '%s' FROM items; PRAGMA wal_checkpoint(TRUNCATE)`, waiting, key, lane, claimtest.SpeedBody()))
	return q
}
