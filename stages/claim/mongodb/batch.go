package mongodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// abandonedAfter is when others decide about a batch whose writer has not.
	// It is no matter of correctness: a slow writer is told that it failed.
	abandonedAfter = time.Minute
	// revealTries is how often the writer of a batch that was decided tries to make it
	// visible before it returns, each time for finishWithin at most: a connection that
	// is half-open costs one. After a minute the reapers of others go on with it.
	revealTries = 4
	// forgetAfter is how long a refused batch is remembered, for its writer to
	// hear of it.
	forgetAfter = 24 * time.Hour
)

// batchDoc is a document of the batches collection: the decision about the
// items of one enqueue, import or move. Its unique _id makes it that there is
// only one.
type batchDoc struct {
	ID        string        `bson:"_id"`
	Queue     string        `bson:"queue"`
	To        string        `bson:"to,omitempty"` // of a move: the queue that gets them
	Committed bool          `bson:"committed"`
	At        bson.DateTime `bson:"at"`
}

// addBatch makes several items appear together or not at all without a
// transaction. They are staged, which nobody sees; the insert of the batch's
// document decides; then they become visible one by one, in their order.
func (q *Queue) addBatch(ctx context.Context, docs []*item) error {
	batch := rand.Text()
	for _, d := range docs {
		d.State, d.Batch, d.Since = stateStaged, batch, q.now()
	}
	_, err := q.items.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if err != nil {
		q.withdraw(ctx, batch, "")
		return again(err)
	}
	if err := q.commit(ctx, batch, ""); err != nil {
		return err
	}
	for done, tries := false, 0; !done && tries < revealTries; tries++ {
		done = q.insist(ctx, "make a batch visible", finishWithin, func(ctx context.Context) error { return q.reveal(ctx, batch, docs) })
	}
	q.wake()
	return nil
}

// reveal makes the batch visible, of which these are all items.
func (q *Queue) reveal(ctx context.Context, batch string, docs []*item) error {
	if err := q.publish(ctx, batch, docs); err != nil {
		return err
	}
	return q.forget(ctx, batch)
}

// commit decides for the batch; without an error that is the decision.
func (q *Queue) commit(ctx context.Context, batch, to string) error {
	err := q.decide(ctx, batch, to, true)
	if mongo.IsDuplicateKeyError(err) {
		q.withdraw(ctx, batch, to)
		return pipeline.Again("enqueue-too-slow", "queue %q: nothing was done for %v, and another process gave it up", q.name, abandonedAfter)
	}
	if err != nil {
		return q.doubt(ctx, batch, to, err)
	}
	return nil
}

// doubt finds out what became of a decision whose writing failed, by deciding
// the other way. Without an answer the reaper of any process will do so.
func (q *Queue) doubt(ctx context.Context, batch, peer string, cause error) error {
	ctx, cancel := onwards(ctx)
	defer cancel()
	if committed, err := q.resolveBatch(ctx, batch, peer); err != nil || !committed {
		return cause
	}
	return nil
}

// decide writes the decision; a duplicate key says that there is one.
func (q *Queue) decide(ctx context.Context, batch, to string, commit bool) error {
	_, err := q.batches.InsertOne(ctx, batchDoc{ID: batch, Queue: q.name, To: to, Committed: commit, At: q.now()})
	return err
}

// forget deletes a decision that is carried out.
func (q *Queue) forget(ctx context.Context, batch string) error {
	_, err := q.batches.DeleteOne(ctx, bson.M{"_id": batch})
	return err
}

// withdraw takes back what a writer of its own accord does not decide for.
func (q *Queue) withdraw(ctx context.Context, batch, peer string) {
	q.insist(ctx, "take back a refused batch", finishWithin, func(ctx context.Context) error { return q.discard(ctx, batch, peer) })
}

// discard deletes what was staged, and lets go what was frozen, here and in the
// peer.
func (q *Queue) discard(ctx context.Context, batch, peer string) error {
	sides := []*Queue{q}
	if peer != "" {
		sides = append(sides, q.sibling(peer))
	}
	for _, side := range sides {
		_, err := side.items.DeleteMany(ctx, side.mine(bson.M{"batch": batch, "state": stateStaged}))
		if err == nil && peer != "" {
			err = side.thaw(ctx, batch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// publish makes items of a committed batch visible: these and, with those that
// wait for no turn, all others that do not. Those with a key go one after the other, so that no younger one is there
// before an older one. Several processes may do it at the same time: each goes in
// the same order.
func (q *Queue) publish(ctx context.Context, batch string, docs []*item) error {
	mark, keys := newMark(), keySet{}
	arrived := bson.M{"batch": "", "peer": "", "since": "", "becomes": ""}
	staged := func(f bson.M) bson.M {
		f["batch"], f["state"] = batch, stateStaged
		return q.mine(f)
	}
	var writes []mongo.WriteModel
	keyed := bson.M{"$set": bson.M{"state": stateBehind, "live": true, "mark": mark}, "$unset": arrived}
	others := keySet{} // what the others become
	for _, d := range docs {
		if d.Key == "" || d.Becomes != "" {
			others.add(cmp.Or(d.Becomes, stateReady))
			continue
		}
		keys.add(d.Key)
		writes = append(writes, mongo.NewUpdateOneModel().SetFilter(staged(bson.M{"_id": d.DocID})).SetUpdate(keyed))
	}
	for state := range others {
		which, set := bson.M{"becomes": state}, bson.M{"state": state}
		if state == stateReady {
			absent := bson.M{"$exists": false}
			which, set = bson.M{"key": absent, "becomes": absent}, bson.M{"state": state, "live": true}
		}
		writes = append(writes, mongo.NewUpdateManyModel().SetFilter(staged(which)).SetUpdate(bson.M{"$set": set, "$unset": arrived}))
	}
	if _, err := q.items.BulkWrite(ctx, writes); err != nil || len(keys) == 0 {
		return err
	}
	return q.pass(ctx, bson.M{"mark": mark}, keys.list()...)
}

// publishAll is publish of all that is still staged of a batch, page by page.
func (q *Queue) publishAll(ctx context.Context, batch string) error {
	for {
		docs, err := q.find(ctx, bson.M{"batch": batch, "state": stateStaged},
			options.Find().SetSort(byAge()).SetLimit(int64(q.page)).SetProjection(bson.M{"key": 1, "becomes": 1}))
		if err != nil || len(docs) == 0 {
			return err
		}
		if err := q.publish(ctx, batch, docs); err != nil {
			return err
		}
	}
}

// resolve sees to the batches that their writers have left.
func (q *Queue) resolve(ctx context.Context) error {
	old := bson.M{"$lte": q.ago(abandonedAfter)}
	left, err := q.find(ctx, bson.M{"batch": bson.M{"$exists": true}, "since": old},
		options.Find().SetProjection(bson.M{"batch": 1, "peer": 1}).SetLimit(reapBatch))
	if err != nil {
		return err
	}
	peers := map[string]string{}
	for _, d := range left {
		peers[d.Batch] = d.Peer
	}
	var decided []batchDoc
	mine := bson.M{"$or": bson.A{bson.M{"queue": q.name}, bson.M{"to": q.name}}, "committed": true, "at": old}
	cursor, err := q.batches.Find(ctx, mine, options.Find().SetLimit(reapBatch))
	if err == nil {
		err = cursor.All(ctx, &decided)
	}
	if err != nil {
		return err
	}
	for _, d := range decided {
		peers[d.ID] = "" // the decision names both queues
	}
	for batch, peer := range peers {
		if err := q.resolveLeft(ctx, batch, peer); err != nil {
			return err
		}
	}
	_, err = q.batches.DeleteMany(ctx, bson.M{"queue": q.name, "committed": false, "at": bson.M{"$lte": q.ago(forgetAfter)}})
	return err
}

// resolveLeft resolves a batch unless its writer is still at it: that adds to a
// long move page by page.
func (q *Queue) resolveLeft(ctx context.Context, batch, peer string) error {
	fresh := q.mine(bson.M{"batch": batch, "since": bson.M{"$gt": q.ago(abandonedAfter)}})
	err := q.items.FindOne(ctx, fresh, options.FindOne().SetProjection(bson.M{"_id": 1})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		_, err = q.resolveBatch(ctx, batch, peer)
	}
	return err
}

// resolveBatch decides against a batch unless its writer has decided for it,
// and carries the decision out.
func (q *Queue) resolveBatch(ctx context.Context, batch, peer string) (committed bool, err error) {
	err = q.decide(ctx, batch, peer, false)
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return false, err
	}
	var decision batchDoc
	err = q.batches.FindOne(ctx, bson.M{"_id": batch}).Decode(&decision)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return false, nil // another process was here
	case err != nil:
		return false, err
	case !decision.Committed:
		return false, q.discard(ctx, batch, peer)
	}
	return true, q.carryOut(ctx, decision)
}

// carryOut does what was decided: the items appear, those that were moved go, and
// with the last of them the decision. Any number of processes may do it.
func (q *Queue) carryOut(ctx context.Context, decision batchDoc) error {
	from, to := q.sibling(decision.Queue), q.sibling(cmp.Or(decision.To, decision.Queue))
	if err := to.publishAll(ctx, decision.ID); err != nil {
		return err
	}
	if err := from.removeMoved(ctx, decision.ID); err != nil {
		return err
	}
	return q.forget(ctx, decision.ID)
}
