package mongodb

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// pageSize bounds what one call changes, and what is in memory at a time.
const pageSize = 1000

// inPages hands the items of a filter that nobody moves to change, oldest first,
// and adds up how many it has changed.
func (q *Queue) inPages(ctx context.Context, filter bson.M, limit int, change func([]*item) (int, error)) (total int, err error) {
	filter["batch"] = bson.M{"$exists": false}
	fields := bson.M{"id": 1, "key": 1, "seq": 1, "state": 1, "turn": 1, "mark": 1, "claims": 1, "salt": 1, "attempts": 1, "deadline": 1, "active": 1, "idemUntil": 1}
	for left, after := limit, int64(0); ; {
		size := q.page
		if limit > 0 {
			size = min(left, size)
		}
		filter["seq"] = bson.M{"$gt": after}
		page, err := q.find(ctx, filter, options.Find().SetSort(byAge()).SetLimit(int64(size)).SetProjection(fields))
		if err != nil || len(page) == 0 {
			return total, err
		}
		n, err := change(page)
		total += n
		if left -= len(page); err != nil || len(page) < size || left == 0 {
			return total, err
		}
		after = page[len(page)-1].Seq
	}
}

// changeAll writes, and returns how many items it changed.
func (q *Queue) changeAll(ctx context.Context, writes []mongo.WriteModel) (n int, err error) {
	r, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if r != nil {
		n = int(r.MatchedCount + r.DeletedCount)
	}
	return n, err
}

// Drop deletes items that are not leased, with their history. Items enqueued
// later count their claims from above theirs, so that a late worker of a
// dropped item is still refused when its id is used again.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, q.filter(f, unleased...), f.Limit, q.dropAll(ctx))
	return n, q.fail("drop", err)
}

// dropAll deletes a page of items.
func (q *Queue) dropAll(ctx context.Context) func([]*item) (int, error) {
	return func(all []*item) (int, error) {
		mark, keys, floor := newMark(), keySet{}, int64(0)
		writes := make([]mongo.WriteModel, len(all))
		for i, d := range all {
			floor = max(floor, d.Claims)
			if writes[i] = q.remove(d, mark); d.concernsTurn() {
				keys.add(d.Key)
			}
		}
		if err := q.raiseFloor(ctx, floor); err != nil {
			return 0, err
		}
		n, err := q.changeAll(ctx, writes)
		if len(keys) > 0 {
			q.insist(ctx, "delete dropped items", finishWithin, func(ctx context.Context) error {
				return q.bury(ctx, bson.M{"mark": mark}, keys.list()...)
			})
		}
		return n, err
	}
}

// raiseFloor makes tokens of new items greater than those of items with so many
// claims.
func (q *Queue) raiseFloor(ctx context.Context, claims int64) error {
	_, err := q.queues.UpdateOne(ctx, q.self(), bson.M{"$max": bson.M{"floor": claims}})
	return err
}

// concernsTurn reports that an item has its key's turn or waits for it, or that
// somebody was to pass the turn on after it.
func (d *item) concernsTurn() bool {
	return d.Turn != "" || d.Mark != "" || d.Key != "" && (d.State == stateBehind || d.State == stateReady)
}

// stillThere is the state that an item seen as it is may have by now, if nobody
// but its key has gone on: the key's turn may have come to it.
func (d *item) stillThere() any {
	if d.Key != "" && (d.State == stateBehind || d.State == stateReady) {
		return bson.M{"$in": bson.A{stateBehind, stateReady}}
	}
	return d.State
}

// remove deletes an item, if it is still as it was seen. One that concerns the
// turn is only marked first: without it nobody would know that its key is to be
// settled.
func (q *Queue) remove(d *item, mark string) mongo.WriteModel {
	same := q.mine(bson.M{"_id": d.DocID, "state": d.stillThere(), "claims": d.Claims, "batch": bson.M{"$exists": false}})
	if d.concernsTurn() {
		return mongo.NewUpdateOneModel().SetFilter(same).SetUpdate(gone(mark))
	}
	same["turn"], same["mark"] = bson.M{"$exists": false}, bson.M{"$exists": false}
	return mongo.NewDeleteOneModel().SetFilter(same)
}

// gone makes an item invisible, to be deleted once its key is settled.
func gone(mark string) bson.M {
	return bson.M{"$set": bson.M{"state": stateGone, "mark": mark}, "$unset": bson.M{"turn": "", "live": "", "idem": "", "batch": "", "peer": "", "since": ""}}
}
