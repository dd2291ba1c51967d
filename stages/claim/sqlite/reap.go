package sqlite

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// reapBatch bounds one transaction of the reaper.
const reapBatch = 100

// startReaper looks for expired leases now and then: at a quarter of the lease
// on average, so that a lost process is noticed soon after its leases end, and
// jittered, so that many processes on one file do not do it all at once.
func (q *Queue) startReaper() {
	mean := min(max(q.opt.Lease/4, 20*time.Millisecond), 5*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	q.reaper.Go(func() {
		defer cancel()
		for {
			if _, err := q.Reap(ctx); err != nil {
				q.log.Warn("the queue's reaper failed; it tries again", "queue", q.name, "error", err)
			}
			wait := time.NewTimer(mean/2 + rand.N(mean))
			select {
			case <-wait.C:
			case <-q.stop:
				wait.Stop()
				return
			}
		}
	})
}

// Reap takes back every lease that has expired: the item is ready again, and the
// next claim finds out whether it may still run. The reaper calls it by itself
// once the first claim was made; it returns how many it took.
func (q *Queue) Reap(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := q.writes.do(ctx, false, func(t *tx) (err error) {
			n, err = q.reap(t)
			return err
		})
		total += n
		if err != nil || n < reapBatch {
			return total, q.fail("reap", err)
		}
	}
}

// expired is a lease that ran out.
type expired struct {
	row
	owner string
}

const findExpired = `SELECT seq, coalesce(key,''), attempts, owner FROM items INDEXED BY items_leased
	WHERE queue=? AND state=1 AND lease_until<=? ORDER BY lease_until` + limit

func (q *Queue) reap(t *tx) (int, error) {
	var all []expired
	err := t.query(func(r *sql.Rows) error {
		var e expired
		err := r.Scan(&e.seq, &e.key, &e.attempts, &e.owner)
		all = append(all, e)
		return err
	}, findExpired, q.id, t.now, reapBatch)
	if err != nil {
		return 0, err
	}
	if len(all) > 0 {
		t.wake(q.id)
	}
	keys := keySet{}
	for _, e := range all {
		keys.add(e.key)
		if err := q.takeBack(t, e); err != nil {
			return 0, err
		}
	}
	return len(all), settle(t, q.id, keys)
}

func (q *Queue) takeBack(t *tx, e expired) error {
	if _, err := t.exec(`UPDATE items SET state=0, hold=0, not_before=0, lease_until=0, owner='', expired=1 WHERE seq=?`, e.seq); err != nil {
		return err
	}
	return q.record(t, e.seq, pipeline.Event{What: "expired", Attempt: e.attempts, Code: "lease-expired",
		Error: "the lease expired without an answer from " + e.owner})
}
