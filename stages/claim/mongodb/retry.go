package mongodb

import (
	"context"
	"errors"
	"maps"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts. One with a key takes two
// writes, see doc.go: it is recalled, and ready when the turn of its key is where
// it belongs.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, q.filter(f, stateDead), f.Limit, func(dead []*item) (int, error) {
		mark, keys := newMark(), keySet{}
		for _, d := range dead {
			keys.add(d.Key)
		}
		n, err := q.replayAll(ctx, dead, mark)
		if len(keys) > 0 {
			done := q.insist(ctx, "make retried items ready", finishWithin, func(ctx context.Context) error {
				return q.readmit(ctx, bson.M{"mark": mark}, keys.list()...)
			})
			if err == nil && !done {
				err = pipeline.Again("retry-unfinished", "up to %d items are dead until the reaper of a run makes them ready", n)
			}
		}
		q.wake()
		return n, err
	})
	return n, q.fail("retry", err)
}

// replayAll makes the items ready, or recalls them; one whose idempotency key
// another has meanwhile does without.
func (q *Queue) replayAll(ctx context.Context, dead []*item, mark string) (int, error) {
	now, writes := q.now(), make([]mongo.WriteModel, len(dead))
	for i, d := range dead {
		writes[i] = q.replay(d, now, mark)
	}
	n, err := q.changeAll(ctx, writes)
	var failed mongo.BulkWriteException
	if !mongo.IsDuplicateKeyError(err) || !errors.As(err, &failed) {
		return n, err
	}
	var again []mongo.WriteModel
	for _, e := range failed.WriteErrors {
		if e.Code != mongoconn.CodeDuplicateKey {
			return n, err
		}
		d := *dead[e.Index]
		d.Active = ""
		again = append(again, q.replay(&d, now, mark))
	}
	more, err := q.changeAll(ctx, again)
	return n + more, err
}

// replay makes one dead item as if new, if it is still the one that was seen. One
// with a key is only recalled by it: still dead for everybody, but live, so that
// whoever settles its key counts it.
func (q *Queue) replay(d *item, now bson.DateTime, mark string) mongo.WriteModel {
	set, unset := bson.M{"live": true}, bson.M{}
	if d.Active == "" || d.idemOver(now) {
		unset["active"] = ""
	} else {
		set["idem"] = d.Active
	}
	change := bson.M{"$set": set, "$unset": unset}
	if d.Key == "" {
		set["state"] = stateReady
		d.revive(now, change)
	} else {
		set["mark"] = mark
		if len(unset) == 0 {
			delete(change, "$unset")
		}
	}
	return mongo.NewUpdateOneModel().SetFilter(q.mine(bson.M{"_id": d.DocID, "state": stateDead, "claims": d.Claims, "batch": bson.M{"$exists": false}})).
		SetUpdate(change)
}

// revive adds to a change, which has $set and $unset, what makes a dead item as if
// new.
func (d *item) revive(now bson.DateTime, change bson.M) {
	set, unset := change["$set"].(bson.M), change["$unset"].(bson.M)
	maps.Copy(set, bson.M{"attempts": int32(0), "expired": false, "at": bson.DateTime(0), "notBefore": bson.DateTime(0)})
	for _, name := range [...]string{"ended", "result", "digest", "error", "owner", "cancelled"} {
		unset[name] = ""
	}
	if d.Deadline > 0 && d.Deadline <= now {
		unset["deadline"] = ""
	}
	change["$push"] = push(event{At: now, What: "replayed", Attempt: d.Attempts})
}

// recalled reports that Retry has begun with the item: it is live, and dead until
// it has its key's turn, or another item has it that goes before it or is leased.
func (d *item) recalled() bool { return d.State == stateDead && d.Live }

// advance is the write by which an item that is behind or recalled gets on, if it is
// still as it was seen: not claimed since, and not overtaken.
func (q *Queue) advance(d *item, set bson.M) mongo.WriteModel {
	same := bson.M{"_id": d.DocID, "state": d.State, "live": true, "claims": d.Claims, "batch": bson.M{"$exists": false}}
	if same["overtaken"] = d.Overtaken; d.Overtaken == 0 {
		same["overtaken"] = bson.M{"$exists": false}
	}
	change := bson.M{"$set": set}
	if d.recalled() {
		change["$unset"] = bson.M{}
		d.revive(q.now(), change)
	}
	return mongo.NewUpdateOneModel().SetFilter(q.mine(same)).SetUpdate(change)
}

// overtaken adds to ids the items after the recalled head of a key that somebody may
// have found to be its head before: those that are recalled too, up to the first
// that is not. It reports whether live, all of the key from there on or the first of
// them, goes so far.
func overtaken(ids bson.A, live []*item) (bson.A, bool) {
	for _, d := range live {
		ids = append(ids, d.DocID)
		if !d.recalled() {
			return ids, true
		}
	}
	return ids, false
}

// overtake makes what was seen of these items void: whoever stood still since cannot
// give them the turn any more.
func (q *Queue) overtake(ctx context.Context, ids bson.A) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.items.UpdateMany(ctx, q.mine(bson.M{"_id": bson.M{"$in": ids}, "live": true}), bson.M{"$inc": bson.M{"overtaken": int32(1)}})
	return err
}

// overtakeBy does so for the recalled head of a key.
func (q *Queue) overtakeBy(ctx context.Context, key string, head *item) error {
	var ids bson.A
	for after := head.Seq; ; {
		next, err := q.find(ctx, bson.M{"key": key, "live": true, "seq": bson.M{"$gt": after}},
			options.Find().SetSort(byAge()).SetLimit(together).SetProjection(headFields()))
		if err != nil {
			return err
		}
		found := false
		if ids, found = overtaken(ids, next); found || len(next) < together {
			return q.overtake(ctx, ids)
		}
		after = next[len(next)-1].Seq
	}
}

// readmit makes the recalled items that a filter with a mark selects ready, and then
// clears their marks. Those that are first in their keys get the turn from settle;
// the others stand behind who has it, once that is one that goes before them: older,
// or leased.
func (q *Queue) readmit(ctx context.Context, marked bson.M, keys ...string) error {
	for range maxSettle {
		if err := q.settleAll(ctx, keys); err != nil {
			return err
		}
		recalled := bson.M{"state": stateDead, "live": true}
		maps.Copy(recalled, marked)
		waiting, err := q.find(ctx, recalled, options.Find().SetProjection(headFields()))
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			_, err := q.items.UpdateMany(ctx, q.mine(marked), bson.M{"$unset": bson.M{"mark": ""}})
			return err
		}
		if err := q.standBehind(ctx, waiting); err != nil {
			return err
		}
		// Somebody may be giving the turn to one of them as it was, in vain: once more.
	}
	return errUnsettled
}

// standBehind makes recalled items ready without the turn, as far as another of their
// key has it that goes before them.
func (q *Queue) standBehind(ctx context.Context, waiting []*item) error {
	keys := keySet{}
	for _, d := range waiting {
		keys.add(d.Key)
	}
	found, err := q.find(ctx, bson.M{"turn": bson.M{"$in": keys.list()}}, options.Find().SetProjection(headFields()))
	if err != nil {
		return err
	}
	holders := map[string]*item{}
	for _, d := range found {
		holders[d.Key] = d
	}
	var writes []mongo.WriteModel
	for _, d := range waiting {
		if h := holders[d.Key]; h != nil && (h.Seq < d.Seq || h.State == stateLeased || h.frozen()) {
			writes = append(writes, q.advance(d, bson.M{"state": stateBehind}))
		}
	}
	if len(writes) == 0 {
		return nil
	}
	_, err = q.changeAll(ctx, writes)
	return err
}
