package mongodb

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Pause stops claims, or lets them go on: each claim reads it first.
func (q *Queue) Pause(ctx context.Context, paused bool) error {
	change := bson.M{"$set": bson.M{"paused": true}}
	if !paused {
		change = bson.M{"$unset": bson.M{"paused": ""}}
	}
	r, err := q.queues.UpdateOne(ctx, q.self(), change)
	if err == nil && r.MatchedCount == 0 {
		err = q.absent(ctx)
	}
	if !paused {
		q.wake()
	}
	return q.fail("pause", err)
}

// Cancel marks items that have not ended, each in one write. One that is leased
// loses its lease in the same write; if it has a key, the key's turn is settled
// after it.
func (q *Queue) Cancel(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, q.uncancelled(f), f.Limit, func(live []*item) (total int, err error) {
		for range maxRounds {
			n, err := q.cancelAll(ctx, live)
			if total += n; err != nil || n == len(live) {
				return total, err
			}
			// The others were claimed, given back or ended between look and write.
			ids := bson.A{}
			for _, d := range live {
				ids = append(ids, d.DocID)
			}
			again := q.uncancelled(pipeline.Filter{State: f.State})
			again["_id"] = bson.M{"$in": ids}
			live, err = q.find(ctx, again, options.Find().SetProjection(bson.M{"id": 1, "key": 1, "state": 1, "claims": 1, "salt": 1, "attempts": 1}))
			if err != nil || len(live) == 0 {
				return total, err
			}
		}
		return total, nil
	})
	return n, q.fail("cancel", err)
}

// uncancelled selects what Cancel may touch.
func (q *Queue) uncancelled(f pipeline.Filter) bson.M {
	filter := q.filter(f, stateBehind, stateReady, stateLeased)
	filter["cancelled"] = bson.M{"$exists": false}
	return filter
}

func (q *Queue) cancelAll(ctx context.Context, live []*item) (int, error) {
	now, mark, keys := q.now(), newMark(), keySet{}
	writes := make([]mongo.WriteModel, len(live))
	for i, d := range live {
		if d.State == stateLeased {
			keys.add(d.Key)
		}
		writes[i] = q.cancel(d, now, mark)
	}
	n, err := q.changeAll(ctx, writes)
	if len(keys) > 0 {
		q.passOn(ctx, mark, keys.list()...)
	}
	q.wake()
	return n, err
}

// cancel marks one item, if it is still as it was seen.
func (q *Queue) cancel(d *item, now bson.DateTime, mark string) mongo.WriteModel {
	same := q.mine(bson.M{"_id": d.DocID, "state": d.State, "claims": d.Claims, "salt": d.Salt,
		"cancelled": bson.M{"$exists": false}, "batch": bson.M{"$exists": false}})
	set, unset := bson.M{"cancelled": true, "at": bson.DateTime(0), "notBefore": bson.DateTime(0)}, bson.M{}
	if d.State == stateLeased {
		set["state"], set["owner"], unset["claim"] = stateReady, "", ""
		if d.Key != "" {
			giveUpTurn(set, unset, mark)
		}
	}
	change := bson.M{"$set": set, "$push": push(event{At: now, What: "cancelled", Attempt: d.Attempts, Code: pipeline.CodeCancelled})}
	if len(unset) > 0 {
		change["$unset"] = unset
	}
	return mongo.NewUpdateOneModel().SetFilter(same).SetUpdate(change)
}
