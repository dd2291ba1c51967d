package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Stats walks the index over the sequence, which no claim changes: so each item
// is counted once, in the state in which the walk meets it, and the sum is
// right without a snapshot.
func (q *Queue) Stats(ctx context.Context) (pipeline.QueueStats, error) {
	var s pipeline.QueueStats
	counts, err := q.count(ctx, bson.M{"state": bson.M{"$in": visible}}, "waybill_seq")
	if err != nil {
		return s, q.fail("stats", err)
	}
	delayed, err := q.count(ctx, bson.M{"state": stateReady, "at": bson.M{"$gt": q.now()}}, "waybill_time")
	if err != nil {
		return s, q.fail("stats", err)
	}
	s = pipeline.QueueStats{Ready: counts[stateReady] + counts[stateBehind], Leased: counts[stateLeased], Done: counts[stateDone], Dead: counts[stateDead]}
	s.Enqueued = s.Ready + s.Leased + s.Done + s.Dead
	s.Delayed = min(delayed[stateReady], s.Ready)
	if s.AgeSeconds, err = q.age(ctx); err != nil {
		return s, q.fail("stats", err)
	}
	doc, err := q.read(ctx)
	s.Paused = doc.Paused
	return s, q.fail("stats", err)
}

// age is how long, in seconds, the oldest claimable item has been there. The index
// waybill_time has all that the question needs.
func (q *Queue) age(ctx context.Context) (float64, error) {
	now := q.now()
	var d item
	err := q.items.FindOne(ctx, q.mine(bson.M{"state": stateReady, "at": bson.M{"$lte": now}}), options.FindOne().
		SetSort(bson.D{{Key: "enqueued", Value: 1}}).SetProjection(bson.M{"_id": 0, "enqueued": 1})).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	return max(0, float64(now-d.Enqueued)/1000), err
}

// Count counts what matches, on the same walk as Stats.
func (q *Queue) Count(ctx context.Context, f pipeline.Filter) (total int64, err error) {
	counts, err := q.count(ctx, q.filter(f, visible...), "waybill_seq")
	for _, n := range counts {
		total += n
	}
	if f.Limit > 0 {
		total = min(total, int64(f.Limit))
	}
	return total, q.fail("count", err)
}

// count counts the items of a filter by their state.
func (q *Queue) count(ctx context.Context, filter bson.M, hint string) (map[string]int64, error) {
	cursor, err := q.items.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: q.mine(filter)}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$state"}, {Key: "n", Value: bson.D{{Key: "$sum", Value: 1}}}}}},
	}, options.Aggregate().SetHint(hint))
	if err != nil {
		return nil, err
	}
	var groups []struct {
		State string `bson:"_id"`
		N     int64  `bson:"n"`
	}
	if err := cursor.All(ctx, &groups); err != nil {
		return nil, err
	}
	out := make(map[string]int64, len(groups))
	for _, g := range groups {
		out[g.State] = g.N
	}
	return out, nil
}

// Pending counts the items that are not at their end, by a field that they keep
// until then. A deadline ends a delay.
func (q *Queue) Pending(ctx context.Context) (n int64, next time.Time, err error) {
	live, err := q.count(ctx, bson.M{"live": true}, "waybill_live")
	if err != nil {
		return 0, next, q.fail("pending", err)
	}
	for _, c := range live {
		n += c
	}
	var d item
	err = q.items.FindOne(ctx, q.mine(bson.M{"state": stateReady, "at": bson.M{"$gt": q.now()}}),
		options.FindOne().SetSort(bson.D{{Key: "at", Value: 1}}).SetProjection(bson.M{"at": 1})).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return n, next, nil
	}
	return n, instant(d.At), q.fail("pending", err)
}

// Queues lists the queues of the database by name.
func (q *Queue) Queues(ctx context.Context) ([]string, error) {
	names := []string{}
	cursor, err := q.queues.Find(ctx, bson.M{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetProjection(bson.M{"_id": 1}))
	var docs []queueDoc
	if err == nil {
		err = cursor.All(ctx, &docs)
	}
	for _, d := range docs {
		names = append(names, d.Name)
	}
	return names, q.fail("queues", err)
}

// List returns entries without bodies and history, oldest first.
func (q *Queue) List(ctx context.Context, f pipeline.Filter) ([]pipeline.Entry, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	docs, err := q.find(ctx, q.filter(f, visible...),
		options.Find().SetSort(byAge()).SetLimit(int64(f.Limit)).SetProjection(bson.M{"body": 0, "history": 0}))
	if err != nil {
		return nil, q.fail("list", err)
	}
	now, out := q.now(), make([]pipeline.Entry, len(docs))
	for i, d := range docs {
		out[i] = d.entry(now)
	}
	return out, nil
}

// Show returns one whole entry or ErrNotFound, as of one moment.
func (q *Queue) Show(ctx context.Context, id string) (pipeline.Entry, error) {
	var d item
	err := q.items.FindOne(ctx, q.mine(bson.M{"_id": q.docID(id), "state": bson.M{"$in": visible}})).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return pipeline.Entry{}, fmt.Errorf("%s: queue %q: item %q: %w", q.conn.Shown, q.name, id, pipeline.ErrNotFound)
	}
	if err != nil {
		return pipeline.Entry{}, q.fail("show", err)
	}
	return d.entry(q.now()), nil
}

// filter selects the items of a filter that are in one of these states.
func (q *Queue) filter(f pipeline.Filter, of ...string) bson.M {
	states := bson.A{}
	for _, s := range of {
		if f.State == "" || shown(s) == f.State {
			states = append(states, s)
		}
	}
	filter := bson.M{"state": bson.M{"$in": states}}
	if f.IDs != nil {
		ids := bson.A{}
		for _, id := range f.IDs {
			ids = append(ids, q.docID(id))
		}
		filter["_id"] = bson.M{"$in": ids}
	}
	if f.Key != "" {
		filter["key"] = f.Key
	}
	if f.Result != "" {
		filter["result"] = string(f.Result)
	}
	if f.OlderThan > 0 {
		filter["enqueued"] = bson.M{"$lte": q.ago(f.OlderThan)}
	}
	return filter
}
