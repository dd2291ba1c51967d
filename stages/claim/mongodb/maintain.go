package mongodb

import (
	"context"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
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

// Retry makes dead items ready again: attempts start anew, the history stays,
// and a deadline that has passed no longer counts.
func (q *Queue) Retry(ctx context.Context, f pipeline.Filter) (int, error) {
	n, err := q.inPages(ctx, q.filter(f, stateDead), f.Limit, func(dead []*item) (int, error) {
		mark, keys := newMark(), keySet{}
		for _, d := range dead {
			keys.add(d.Key)
		}
		n, err := q.replayAll(ctx, dead, mark)
		if len(keys) > 0 {
			q.passOn(ctx, mark, keys.list()...)
		}
		q.wake()
		return n, err
	})
	return n, q.fail("retry", err)
}

// replayAll makes the items ready; one whose idempotency key another has
// meanwhile does without.
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
	unset := bson.M{"ended": "", "result": "", "digest": "", "error": "", "owner": "", "cancelled": ""}
	if d.Active == "" || d.idemOver(now) {
		unset["active"] = ""
	} else {
		set["idem"] = d.Active
	}
	if d.Deadline > 0 && d.Deadline <= now {
		unset["deadline"] = ""
	}
	if d.Key != "" {
		giveUpTurn(set, unset, mark)
	}
	return mongo.NewUpdateOneModel().SetFilter(q.mine(bson.M{"_id": d.DocID, "state": stateDead, "claims": d.Claims, "batch": bson.M{"$exists": false}})).
		SetUpdate(bson.M{"$set": set, "$unset": unset, "$push": push(event{At: now, What: "replayed", Attempt: d.Attempts})})
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
