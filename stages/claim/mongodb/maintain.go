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

// inPages hands the items of a filter to change, oldest first, and adds up how
// many it has changed.
func (q *Queue) inPages(ctx context.Context, f pipeline.Filter, states []string, change func([]*item) (int, error)) (total int, err error) {
	left, after := f.Limit, int64(0)
	for {
		if f.Limit = q.page; left > 0 {
			f.Limit = min(left, q.page)
		}
		page, err := q.selectItems(ctx, f, after, states,
			bson.M{"key": 1, "seq": 1, "state": 1, "turn": 1, "mark": 1, "claims": 1, "attempts": 1, "deadline": 1})
		if err != nil || len(page) == 0 {
			return total, err
		}
		n, err := change(page)
		total += n
		if left -= len(page); err != nil || len(page) < f.Limit || left == 0 {
			return total, err
		}
		after = page[len(page)-1].Seq
	}
}

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, f, []string{stateDead}, func(dead []*item) (int, error) {
		now, mark, keys := q.now(), newMark(), keySet{}
		writes := make([]mongo.WriteModel, len(dead))
		for i, d := range dead {
			keys.add(d.Key)
			writes[i] = q.replay(d, now, mark)
		}
		n, err := q.changeAll(ctx, writes)
		if len(keys) > 0 {
			q.passOn(ctx, mark, keys.list()...)
		}
		return n, err
	})
	return n, q.fail("retry", err)
}

// changeAll writes, and returns how many items it changed.
func (q *Queue) changeAll(ctx context.Context, writes []mongo.WriteModel) (n int, err error) {
	r, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if r != nil {
		n = int(r.MatchedCount + r.DeletedCount)
	}
	return n, err
}

// replay makes one dead item as if new, if it is still the one that was seen.
func (q *Queue) replay(d *item, now bson.DateTime, mark string) mongo.WriteModel {
	set := bson.M{"state": stateReady, "live": true, "attempts": int32(0), "expired": false, "at": bson.DateTime(0), "notBefore": bson.DateTime(0)}
	unset := bson.M{"ended": "", "result": "", "digest": "", "error": "", "owner": ""}
	if d.Deadline > 0 && d.Deadline <= now {
		unset["deadline"] = ""
	}
	if d.Key != "" {
		giveUpTurn(set, unset, mark)
	}
	return mongo.NewUpdateOneModel().SetFilter(q.mine(bson.M{"_id": d.DocID, "state": stateDead, "claims": d.Claims})).
		SetUpdate(bson.M{"$set": set, "$unset": unset, "$push": push(event{At: now, What: "replayed", Attempt: d.Attempts})})
}

// Drop deletes items that are not leased, with their history. Items enqueued
// later count their claims from above theirs, so that a late worker of a
// dropped item is still refused when its id is used again.
func (q *Queue) Drop(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, f, []string{stateBehind, stateReady, stateDone, stateDead}, func(all []*item) (int, error) {
		mark, keys, floor := newMark(), keySet{}, int64(0)
		writes := make([]mongo.WriteModel, len(all))
		for i, d := range all {
			floor = max(floor, d.Claims)
			if writes[i] = q.remove(d, mark); d.concernsTurn() {
				keys.add(d.Key)
			}
		}
		if _, err := q.queues.UpdateOne(ctx, q.self(), bson.M{"$max": bson.M{"floor": floor}}); err != nil {
			return 0, err
		}
		n, err := q.changeAll(ctx, writes)
		if len(keys) > 0 {
			q.insist(ctx, "delete dropped items", func(ctx context.Context) error {
				return q.bury(ctx, bson.M{"mark": mark}, keys.list()...)
			})
		}
		return n, err
	})
	return n, q.fail("drop", err)
}

// concernsTurn reports that an item has its key's turn, or that somebody was to
// pass the turn on after it.
func (d *item) concernsTurn() bool { return d.Turn != "" || d.Mark != "" }

// remove deletes an item, if it is still as it was seen. One that concerns the
// turn is only marked first: without it nobody would know that its key is to be
// settled.
func (q *Queue) remove(d *item, mark string) mongo.WriteModel {
	same := q.mine(bson.M{"_id": d.DocID, "state": d.State, "claims": d.Claims})
	if d.concernsTurn() {
		return mongo.NewUpdateOneModel().SetFilter(same).
			SetUpdate(bson.M{"$set": bson.M{"state": stateGone, "mark": mark}, "$unset": bson.M{"turn": "", "live": ""}})
	}
	same["turn"], same["mark"] = bson.M{"$exists": false}, bson.M{"$exists": false}
	return mongo.NewDeleteOneModel().SetFilter(same)
}
