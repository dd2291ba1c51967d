package mongodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
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
	// forgetAfter is how long a refused batch is remembered, for its writer to
	// hear of it.
	forgetAfter = 24 * time.Hour
)

// batchDoc is a document of the batches collection: the decision about the
// items of one enqueue. Its unique _id makes it that there is only one.
type batchDoc struct {
	ID        string        `bson:"_id"`
	Queue     string        `bson:"queue"`
	Committed bool          `bson:"committed"`
	At        bson.DateTime `bson:"at"`
}

// addBatch makes several items appear together or not at all without a
// transaction. They are staged, which nobody sees; the insert of the batch's
// document decides; then they become visible one by one, in their order.
func (q *Queue) addBatch(ctx context.Context, docs []*item) error {
	batch := rand.Text()
	for _, d := range docs {
		d.State, d.Batch = stateStaged, batch
	}
	_, err := q.items.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if err != nil {
		q.withdraw(ctx, batch)
		return again(err)
	}
	if err := q.decide(ctx, batch, true); err != nil {
		if mongo.IsDuplicateKeyError(err) {
			q.withdraw(ctx, batch)
			return pipeline.Again("enqueue-too-slow", "queue %q: the enqueue took longer than %v and was given up by another process", q.name, abandonedAfter)
		}
		return q.doubt(ctx, batch, err)
	}
	q.insist(ctx, "make a batch visible", func(ctx context.Context) error { return q.publish(ctx, batch, docs) })
	return nil
}

// doubt finds out what became of a decision whose writing failed, by deciding
// the other way. Without an answer the reaper of any process will do so.
func (q *Queue) doubt(ctx context.Context, batch string, cause error) error {
	ctx, cancel := onwards(ctx)
	defer cancel()
	if committed, err := q.resolveBatch(ctx, batch); err != nil || !committed {
		return cause
	}
	return nil
}

// decide writes the decision; a duplicate key says that there is one.
func (q *Queue) decide(ctx context.Context, batch string, commit bool) error {
	_, err := q.batches.InsertOne(ctx, batchDoc{ID: batch, Queue: q.name, Committed: commit, At: q.now()})
	return err
}

// withdraw deletes what was staged.
func (q *Queue) withdraw(ctx context.Context, batch string) {
	q.insist(ctx, "delete a refused batch", func(ctx context.Context) error { return q.discard(ctx, batch) })
}

func (q *Queue) discard(ctx context.Context, batch string) error {
	_, err := q.items.DeleteMany(ctx, q.mine(bson.M{"batch": batch, "state": stateStaged}))
	return err
}

// publish makes the items of a committed batch visible. Those with a key go
// one after the other, so that no younger one is there before an older one.
// Several processes may do it at the same time: each goes in the same order.
func (q *Queue) publish(ctx context.Context, batch string, docs []*item) error {
	mark, keys := newMark(), keySet{}
	plain := bson.M{"$set": bson.M{"state": stateReady, "live": true}, "$unset": bson.M{"batch": ""}}
	keyed := bson.M{"$set": bson.M{"state": stateBehind, "live": true, "mark": mark}, "$unset": bson.M{"batch": ""}}
	writes := []mongo.WriteModel{mongo.NewUpdateManyModel().SetUpdate(plain).
		SetFilter(q.mine(bson.M{"batch": batch, "state": stateStaged, "key": bson.M{"$exists": false}}))}
	for _, d := range docs {
		if d.Key != "" {
			keys.add(d.Key)
			writes = append(writes, mongo.NewUpdateOneModel().SetUpdate(keyed).
				SetFilter(q.mine(bson.M{"_id": d.DocID, "batch": batch, "state": stateStaged})))
		}
	}
	if _, err := q.items.BulkWrite(ctx, writes); err != nil {
		return err
	}
	if _, err := q.batches.DeleteOne(ctx, bson.M{"_id": batch}); err != nil {
		return err
	}
	if len(keys) == 0 {
		return nil
	}
	return q.pass(ctx, bson.M{"mark": mark}, keys.list()...)
}

// resolve sees to the batches that their writers have left.
func (q *Queue) resolve(ctx context.Context) error {
	old := bson.M{"$lte": q.now() - bson.DateTime(abandonedAfter.Milliseconds())}
	left, err := q.find(ctx, bson.M{"batch": bson.M{"$exists": true}, "state": stateStaged, "enqueued": old},
		options.Find().SetProjection(bson.M{"batch": 1}).SetLimit(reapBatch))
	if err != nil {
		return err
	}
	var decided []batchDoc
	cursor, err := q.batches.Find(ctx, bson.M{"queue": q.name, "committed": true, "at": old}, options.Find().SetLimit(reapBatch))
	if err == nil {
		err = cursor.All(ctx, &decided)
	}
	if err != nil {
		return err
	}
	batches := keySet{}
	for _, d := range left {
		batches.add(d.Batch)
	}
	for _, d := range decided {
		batches.add(d.ID)
	}
	for batch := range batches {
		if _, err := q.resolveBatch(ctx, batch); err != nil {
			return err
		}
	}
	_, err = q.batches.DeleteMany(ctx, bson.M{"queue": q.name, "committed": false, "at": bson.M{"$lte": q.now() - bson.DateTime(forgetAfter.Milliseconds())}})
	return err
}

// resolveBatch decides against a batch unless its writer has decided for it,
// and carries the decision out.
func (q *Queue) resolveBatch(ctx context.Context, batch string) (committed bool, err error) {
	err = q.decide(ctx, batch, false)
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
		return false, q.discard(ctx, batch)
	}
	docs, err := q.find(ctx, bson.M{"batch": batch, "state": stateStaged}, options.Find().SetProjection(bson.M{"key": 1, "seq": 1}))
	if err != nil {
		return true, err
	}
	slices.SortFunc(docs, func(a, b *item) int { return cmp.Compare(a.Seq, b.Seq) })
	return true, q.publish(ctx, batch, docs)
}
