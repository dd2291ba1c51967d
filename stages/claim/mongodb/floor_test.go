package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"

	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Floor is what the engine itself takes for the life of an item, on the documents,
// indexes and concerns of a queue and without any protocol: an insert of each call's
// items, then for each item a findOneAndUpdate that takes the first and an updateOne
// that ends it.
func Floor(q *Queue) claimtest.Racer {
	f := &floor{q: q}
	r := claimtest.Queue(q)
	r.Enqueue, r.ClaimAck = f.enqueue, f.claimAck
	return r
}

type floor struct {
	q   *Queue
	seq atomic.Int64
}

func (f *floor) enqueue(n int) error {
	docs := make([]*item, n)
	for i := range docs {
		id := rand.Text()
		docs[i] = &item{DocID: f.q.docID(id), ID: id, Queue: f.q.name, State: stateReady, Live: true, Seq: f.seq.Add(1), Enqueued: f.q.now(), Body: claimtest.SpeedBody()}
	}
	if n == 1 {
		_, err := f.q.items.InsertOne(context.Background(), docs[0])
		return err
	}
	_, err := f.q.items.InsertMany(context.Background(), docs, options.InsertMany().SetOrdered(false))
	return err
}

func (f *floor) claimAck(n int) (int, error) {
	ids := make([]string, n)
	err := claimtest.AtOnce(n, func(i int) error {
		var d item
		ready := bson.M{"queue": f.q.name, "state": stateReady, "at": bson.M{"$lte": f.q.now()}}
		take := bson.M{"$set": bson.M{"state": stateLeased, "claim": "floor", "owner": "floor", "at": f.q.now()}, "$inc": bson.M{"claims": 1, "attempts": 1}}
		err := f.q.items.FindOneAndUpdate(context.Background(), ready, take,
			options.FindOneAndUpdate().SetSort(byPriority()).SetReturnDocument(options.After)).Decode(&d)
		ids[i] = d.DocID
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, claimtest.AtOnce(n, func(i int) error {
		end := bson.M{"$set": bson.M{"state": stateDone, "result": "succeeded", "ended": f.q.now(), "at": bson.DateTime(0)}, "$unset": bson.M{"claim": "", "live": ""}}
		r, err := f.q.items.UpdateOne(context.Background(), bson.M{"_id": ids[i], "state": stateLeased, "claim": "floor"}, end)
		if err == nil && r.MatchedCount != 1 {
			err = errors.New("the lease is lost")
		}
		return err
	})
}
