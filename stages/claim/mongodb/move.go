package mongodb

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// perMoved is what finishing a move may take for each item.
const perMoved = 10 * time.Millisecond

// Move puts items into another queue: all or none, though each is two documents.
// They are frozen here and staged there; one decision, as with an enqueue of
// several, makes them appear there and go from here. For a moment between the
// two steps of that they are to be seen in both queues; here they are frozen.
func (q *Queue) Move(ctx context.Context, f pipeline.Filter, to string) (int, error) {
	if to == "" || to == q.name {
		return 0, pipeline.Fail("bad-option", "items of the queue %q cannot be moved into %q", q.name, to)
	}
	n := 0
	err := q.unimpeded(ctx, func() (err error) {
		n, err = q.move(ctx, f, q.sibling(to))
		return err
	})
	return n, q.fail("move", err)
}

func (q *Queue) move(ctx context.Context, f pipeline.Filter, to *Queue) (int, error) {
	batch := rand.Text()
	n, err := q.inPages(ctx, q.filter(f, unleased...), f.Limit, func(page []*item) (int, error) {
		return q.freeze(ctx, page, batch, to)
	})
	if err != nil {
		q.withdraw(ctx, batch, to.name)
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	if err := q.commit(ctx, batch, to.name); err != nil {
		return 0, err
	}
	q.insist(ctx, "finish a move", finishWithin+time.Duration(n)*perMoved, func(ctx context.Context) error {
		return q.carryOut(ctx, batchDoc{ID: batch, Queue: q.name, To: to.name})
	})
	return n, nil
}

// freeze makes a page of items nobody's and stages their copies. An item that was
// claimed or changed meanwhile stays as it is and is not moved. What is frozen
// keeps its key's turn, and while it is the key's first nobody else gets it.
func (q *Queue) freeze(ctx context.Context, page []*item, batch string, to *Queue) (int, error) {
	now, ids := q.now(), make(bson.A, len(page))
	writes := make([]mongo.WriteModel, len(page))
	for i, d := range page {
		ids[i] = d.DocID
		set := bson.M{"batch": batch, "peer": to.name, "since": now}
		if d.State == stateReady || d.State == stateBehind {
			set["state"] = stateBehind
		}
		same := q.mine(bson.M{"_id": d.DocID, "state": d.stillThere(), "claims": d.Claims, "batch": bson.M{"$exists": false}})
		if d.State == stateDead {
			same["live"] = bson.M{"$exists": false} // not recalled: it is about to be ready
		}
		writes[i] = mongo.NewUpdateOneModel().SetUpdate(bson.M{"$set": set}).SetFilter(same)
	}
	if _, err := q.changeAll(ctx, writes); err != nil {
		return 0, err
	}
	n := 0
	for len(ids) > 0 {
		some := ids[:min(len(ids), wholePage)]
		ids = ids[len(some):]
		whole, err := q.find(ctx, bson.M{"_id": bson.M{"$in": some}, "batch": batch}, options.Find().SetSort(byAge()))
		if err == nil && len(whole) > 0 {
			err = to.stage(ctx, whole, now)
		}
		if err != nil {
			return 0, err
		}
		n += len(whole)
	}
	return n, nil
}

// stage adds copies of another queue's frozen items at the end of this one, for
// nobody to see. The queue is made if need be.
func (q *Queue) stage(ctx context.Context, items []*item, now bson.DateTime) error {
	if err := q.create(ctx); err != nil {
		return err
	}
	if _, err := q.read(ctx); err != nil { // a newer release's is not ours to write to
		return err
	}
	if err := q.refuseTaken(ctx, items, now); err != nil {
		return err
	}
	copies := make([]*item, len(items))
	for i, d := range items {
		if d.Meta.err != nil { // the copy would lose it
			return pipeline.Fail("unreadable", "item %q cannot be moved: meta: %w", d.ID, d.Meta.err).WithHint("drop it, or mend it by hand")
		}
		c := *d
		c.Peer, c.Since, c.State, c.Turn, c.Mark, c.Overtaken = d.Queue, now, stateStaged, "", "", 0
		if d.State != stateBehind {
			c.Becomes = d.State
		}
		if d.idemOver(now) {
			c.Idem = ""
		}
		c.History = append(d.History, event{At: now, What: "moved", Attempt: d.Attempts})
		c.History = c.History[max(0, len(c.History)-maxHistory):]
		copies[i] = &c
	}
	if err := q.number(ctx, copies); err != nil {
		return err
	}
	_, err := q.items.InsertMany(ctx, copies, options.InsertMany().SetOrdered(false))
	return again(err)
}

// refuseTaken is an error if the queue has an id or an idempotency key already.
func (q *Queue) refuseTaken(ctx context.Context, items []*item, now bson.DateTime) error {
	var ids, idems bson.A
	for _, d := range items {
		ids = append(ids, q.docID(d.ID))
		if d.Idem != "" && !d.idemOver(now) {
			idems = append(idems, d.Idem)
		}
	}
	k, err := q.taken(ctx, ids, idems)
	if err != nil {
		return err
	}
	for _, d := range items {
		if k.ids[d.ID] {
			return q.duplicate(d.ID)
		}
		if first, ok := k.idems[d.Idem]; ok && d.Idem != "" {
			e := pipeline.Fail("duplicate-key", "queue %q has the idempotency key of %q already, with the item %q", q.name, d.ID, first)
			e.Item = d.ID
			return e
		}
	}
	return nil
}

// thaw lets go what was frozen for a move that is not to be. The key of each is
// settled anew: while it was frozen, nobody could.
func (q *Queue) thaw(ctx context.Context, batch string) error {
	mark, absent := newMark(), bson.M{"$exists": false}
	back := bson.M{"batch": "", "peer": "", "since": ""}
	keyed := bson.M{"batch": "", "peer": "", "since": "", "turn": ""}
	_, err := q.items.BulkWrite(ctx, []mongo.WriteModel{
		mongo.NewUpdateManyModel().SetFilter(q.mine(bson.M{"batch": batch, "state": bson.M{"$in": bson.A{stateDone, stateDead}}})).
			SetUpdate(bson.M{"$unset": back}),
		mongo.NewUpdateManyModel().SetFilter(q.mine(bson.M{"batch": batch, "state": stateBehind, "key": absent})).
			SetUpdate(bson.M{"$set": bson.M{"state": stateReady}, "$unset": back}),
		mongo.NewUpdateManyModel().SetFilter(q.mine(bson.M{"batch": batch, "state": stateBehind})).
			SetUpdate(bson.M{"$set": bson.M{"mark": mark}, "$unset": keyed}),
	})
	if err != nil {
		return err
	}
	q.wake()
	return q.passAll(ctx, mark)
}

// passAll passes the turns of all keys that have this mark, page by page.
func (q *Queue) passAll(ctx context.Context, mark string) error {
	for {
		page, err := q.find(ctx, bson.M{"mark": mark}, options.Find().SetLimit(int64(q.page)).SetProjection(bson.M{"key": 1}))
		if err != nil || len(page) == 0 {
			return err
		}
		ids, keys := bson.A{}, keySet{}
		for _, d := range page {
			ids = append(ids, d.DocID)
			keys.add(d.Key)
		}
		if err := q.pass(ctx, bson.M{"mark": mark, "_id": bson.M{"$in": ids}}, keys.list()...); err != nil {
			return err
		}
	}
}

// removeMoved deletes what a committed move has copied.
func (q *Queue) removeMoved(ctx context.Context, batch string) error {
	for {
		left, err := q.find(ctx, bson.M{"batch": batch, "state": bson.M{"$ne": stateStaged}},
			options.Find().SetLimit(int64(q.page)).SetProjection(bson.M{"key": 1, "state": 1, "turn": 1, "mark": 1, "claims": 1}))
		if err != nil || len(left) == 0 {
			return err
		}
		mark, keys, floor := newMark(), keySet{}, int64(0)
		writes := make([]mongo.WriteModel, len(left))
		for i, d := range left {
			floor = max(floor, d.Claims)
			same := q.mine(bson.M{"_id": d.DocID, "batch": batch})
			if d.concernsTurn() {
				keys.add(d.Key)
				writes[i] = mongo.NewUpdateOneModel().SetFilter(same).SetUpdate(gone(mark))
			} else {
				writes[i] = mongo.NewDeleteOneModel().SetFilter(same)
			}
		}
		if err := q.raiseFloor(ctx, floor); err != nil {
			return err
		}
		if _, err := q.changeAll(ctx, writes); err != nil {
			return err
		}
		if len(keys) > 0 {
			if err := q.bury(ctx, bson.M{"mark": mark}, keys.list()...); err != nil {
				return err
			}
		}
	}
}
