package mongodb

import (
	"context"

	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// obsolete are indexes of earlier schema versions.
var obsolete = [...]string{"waybill_claim", "waybill_due"}

// migrate brings the documents of a queue to this version, one version after the
// other. It may be killed at any point, and several processes may do it at the
// same time: each write makes one document as the version wants it, and the
// version is written when all are. Processes of the earlier release must be
// stopped before: what they enqueue meanwhile is in the wrong lanes.
func (q *Queue) migrate(ctx context.Context, doc queueDoc) error {
	if doc.Schema >= schemaVersion {
		return nil
	}
	q.log.Info("the queue's documents are brought to a new schema version", "queue", q.name, "from", doc.Schema, "to", schemaVersion)
	if err := q.relane(ctx); err != nil {
		return err
	}
	_, err := q.queues.UpdateOne(ctx, q.self(), bson.M{"$max": bson.M{"schema": int32(schemaVersion)}, "$unset": bson.M{"lanes": ""}})
	if err != nil {
		return err
	}
	return q.dropObsolete(ctx)
}

// relane is the step from version 1 to 2: lanes were as many as the queue's
// document said, and what was staged had no time of its own.
func (q *Queue) relane(ctx context.Context) error {
	for after := int64(-1); ; {
		docs, err := q.find(ctx, bson.M{"seq": bson.M{"$gt": after}}, options.Find().SetSort(byAge()).SetLimit(int64(q.page)).
			SetProjection(bson.M{"key": 1, "seq": 1, "state": 1, "enqueued": 1}))
		if err != nil || len(docs) == 0 {
			return err
		}
		writes := make([]mongo.WriteModel, len(docs))
		for i, d := range docs {
			set := bson.M{"lane": laneOf(d.Key)}
			if d.State == stateStaged {
				set["since"] = d.Enqueued
			}
			writes[i] = mongo.NewUpdateOneModel().SetFilter(q.mine(bson.M{"_id": d.DocID})).SetUpdate(bson.M{"$set": set})
		}
		if _, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false)); err != nil {
			return err
		}
		after = docs[len(docs)-1].Seq
	}
}

// dropObsolete removes indexes that nothing reads any more.
func (q *Queue) dropObsolete(ctx context.Context) error {
	for _, name := range obsolete {
		err := q.items.Indexes().DropOne(ctx, name)
		if err != nil && !mongoconn.HasCode(err, mongoconn.CodeIndexNotFound) {
			return err
		}
	}
	return nil
}
