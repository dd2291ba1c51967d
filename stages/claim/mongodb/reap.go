package mongodb

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// reapBatch bounds one round of the reaper.
const reapBatch = 100

// reapLoop looks after the queue now and then: at a quarter of the lease on
// average, so that a lost process is noticed soon after its leases end, and
// jittered, so that many processes do not do it all at once. It starts with the
// first claim.
func (q *Queue) reapLoop(ctx context.Context) {
	mean := min(max(q.opt.Lease/4, 20*time.Millisecond), 5*time.Second)
	for {
		if err := q.upkeep(ctx); err != nil && ctx.Err() == nil {
			q.log.Warn("the queue's reaper failed; it tries again", "queue", q.name, "error", err)
		}
		if !pause(ctx, mean/2+rand.N(mean)) {
			return
		}
	}
}

func (q *Queue) upkeep(ctx context.Context) error {
	if err := q.syncClock(ctx); err != nil {
		return q.fail("clock", err)
	}
	_, err := q.Reap(ctx)
	return err
}

func (q *Queue) syncClock(ctx context.Context) error {
	err := q.conn.SyncClock(ctx)
	if err == nil {
		q.synced.Store(time.Now().Unix())
	}
	return err
}

// freshFor is how long a process that never claims, and so has no reaper, relies on
// what it knows of the server's time.
const freshFor = 10 * time.Minute

// freshen asks for the server's time unless that was done lately. It goes by the wall
// clock: a machine that sleeps stops the monotonic one, by which the server's time is
// counted on.
func (q *Queue) freshen(ctx context.Context) error {
	if since := time.Since(time.Unix(q.synced.Load(), 0)); since >= 0 && since < freshFor {
		return nil
	}
	return q.syncClock(ctx)
}

// Reap takes back every lease that has expired and returns how many: the item
// is ready again, and the next claim finds out whether it may still run. It
// also goes on with what died half-way: turns that were not passed on, enqueues and
// moves that nobody decided. The reaper calls it by itself once the first claim was
// made.
func (q *Queue) Reap(ctx context.Context) (int, error) {
	total, err := 0, error(nil)
	for n := reapBatch; n == reapBatch && err == nil; total += n {
		n, err = q.reap(ctx)
	}
	return total, q.fail("reap", errors.Join(err, q.settleMarked(ctx), q.resolve(ctx), q.sweepRecords(ctx)))
}

// reap takes back the leases that ended first.
func (q *Queue) reap(ctx context.Context) (int, error) {
	now := q.now()
	late, err := q.find(ctx, bson.M{"state": stateLeased, "at": bson.M{"$lte": now}}, options.Find().SetSort(bson.D{{Key: "at", Value: 1}}).
		SetLimit(reapBatch).SetProjection(bson.M{"key": 1, "attempts": 1, "owner": 1, "claims": 1, "salt": 1, "deadline": 1}))
	if err != nil || len(late) == 0 {
		return 0, err
	}
	mark, keys := newMark(), keySet{}
	writes := make([]mongo.WriteModel, len(late))
	for i, d := range late {
		keys.add(d.Key)
		writes[i] = q.takeBack(d, now, mark)
	}
	if _, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false)); err != nil {
		return 0, err
	}
	if len(keys) > 0 {
		q.passOn(ctx, mark, keys.list()...)
	}
	q.wake()
	return len(late), nil
}

// takeBack ends one lease, if it is still the one that was seen and was not
// renewed meanwhile.
func (q *Queue) takeBack(d *item, now bson.DateTime, mark string) mongo.WriteModel {
	set, unset := bson.M{"state": stateReady, "owner": "", "expired": true, "notBefore": bson.DateTime(0), "at": bson.DateTime(0)}, bson.M{"claim": ""}
	if d.Key != "" {
		giveUpTurn(set, unset, mark)
	}
	e := event{At: now, What: "expired", Attempt: d.Attempts, Code: "lease-expired", Error: "the lease expired without an answer from " + d.Owner}
	return mongo.NewUpdateOneModel().
		SetFilter(q.mine(bson.M{"_id": d.DocID, "state": stateLeased, "claims": d.Claims, "salt": d.Salt, "at": bson.M{"$lte": now}})).
		SetUpdate(bson.M{"$set": set, "$unset": unset, "$push": push(e)})
}

// settleMarked finishes what somebody began and, perhaps, did not live to end.
// Marks of operations that are under way are done twice then, which is no harm.
func (q *Queue) settleMarked(ctx context.Context) error {
	for {
		marked, err := q.find(ctx, bson.M{"mark": bson.M{"$exists": true}}, options.Find().SetLimit(reapBatch).SetProjection(bson.M{"key": 1, "mark": 1, "state": 1, "live": 1}))
		if err != nil {
			return err
		}
		var failed []error // one key's trouble is not the others'
		for _, d := range marked {
			finish := q.pass
			switch {
			case d.State == stateGone:
				finish = q.bury
			case d.recalled():
				finish = q.readmit
			}
			failed = append(failed, finish(ctx, bson.M{"_id": d.DocID, "mark": d.Mark}, d.Key))
		}
		if err := errors.Join(failed...); err != nil || len(marked) < reapBatch {
			return err
		}
	}
}
