package mongodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// errAgain: another enqueue or move was faster with an id or an idempotency key, or has
// one of them and is not through. What is to be done must be found out anew.
var errAgain = errors.New("another enqueue or move has the same id or idempotency key and does not end")

// maxEnqueue bounds how often an enqueue, import or move begins anew.
const maxEnqueue = 400

// Enqueue adds all items or, with an error, none. An id that the queue has
// already is an error (code duplicate-id); a known idempotency key is not.
func (q *Queue) Enqueue(ctx context.Context, items []pipeline.NewItem) ([]pipeline.Enqueued, error) {
	for i := range items {
		if err := items[i].Validate(); err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	if len(items) == 0 {
		return []pipeline.Enqueued{}, nil
	}
	var out []pipeline.Enqueued
	err := q.unimpeded(ctx, func() (err error) {
		out, err = q.enqueue(ctx, items)
		return err
	})
	if err != nil {
		return nil, q.fail("enqueue", err)
	}
	return out, nil
}

// unimpeded begins f anew as long as others are in its way.
func (q *Queue) unimpeded(ctx context.Context, f func() error) error {
	if err := q.freshen(ctx); err != nil {
		return err
	}
	for range maxEnqueue {
		if err := f(); !errors.Is(err, errAgain) {
			return err
		}
		if !pause(ctx, time.Millisecond+randv2.N(10*time.Millisecond)) {
			return ctx.Err()
		}
	}
	return errAgain
}

// enqueue first finds out what every item is, and writes only if none is
// refused.
func (q *Queue) enqueue(ctx context.Context, items []pipeline.NewItem) ([]pipeline.Enqueued, error) {
	known, err := q.lookUp(ctx, items)
	if err != nil {
		return nil, err
	}
	out := make([]pipeline.Enqueued, len(items))
	var docs []*item
	for i := range items {
		it := &items[i]
		if first, ok := known.idems[it.IdempotencyKey]; ok && it.IdempotencyKey != "" {
			out[i] = pipeline.Enqueued{ID: first, Duplicate: true}
			continue
		}
		if out[i].ID = it.ID; it.ID == "" {
			out[i].ID = strings.ToLower(rand.Text())
		} else if known.ids[it.ID] {
			return nil, q.duplicate(it.ID).WithHint("give an idempotencyKey if a second enqueue should be harmless")
		}
		known.ids[out[i].ID] = true
		if it.IdempotencyKey != "" {
			known.idems[it.IdempotencyKey] = out[i].ID
		}
		docs = append(docs, q.newItem(it, out[i].ID))
	}
	return out, q.add(ctx, docs)
}

// duplicate refuses an id that the queue has already.
func (q *Queue) duplicate(id string) *pipeline.Error {
	e := pipeline.Fail("duplicate-id", "queue %q has an item %q already", q.name, id)
	e.Item = id
	return e
}

// known is what the queue, or an earlier item of the call, has already.
type known struct {
	ids   map[string]bool
	idems map[string]string // idempotency key to id
}

// lookUp finds the items that have one of these ids or idempotency keys. A key
// whose time is over is freed.
func (q *Queue) lookUp(ctx context.Context, items []pipeline.NewItem) (known, error) {
	var ids, idems bson.A
	for i := range items {
		if items[i].ID != "" {
			ids = append(ids, q.docID(items[i].ID))
		}
		if items[i].IdempotencyKey != "" {
			idems = append(idems, items[i].IdempotencyKey)
		}
	}
	return q.taken(ctx, ids, idems)
}

// taken is lookUp of the _ids of documents and idempotency keys.
func (q *Queue) taken(ctx context.Context, ids, idems bson.A) (known, error) {
	k, over := known{ids: map[string]bool{}, idems: map[string]string{}}, bson.A{}
	for field, values := range map[string]bson.A{"_id": ids, "idem": idems} {
		if len(values) == 0 {
			continue
		}
		found, err := q.find(ctx, bson.M{field: bson.M{"$in": values}}, options.Find().
			SetProjection(bson.M{"id": 1, "idem": 1, "idemUntil": 1, "state": 1, "batch": 1, "peer": 1, "since": 1, "mark": 1, "key": 1}))
		if err != nil {
			return k, err
		}
		for _, d := range found {
			if d.State == stateStaged || d.State == stateGone {
				return k, q.await(ctx, d)
			}
			k.ids[d.ID] = true
			if d.Idem != "" && d.idemOver(q.now()) {
				over = append(over, d.DocID)
			} else if d.Idem != "" {
				k.idems[d.Idem] = d.ID
			}
		}
	}
	return k, q.freeKeys(ctx, over)
}

// freeKeys takes the idempotency keys, whose time is over, from these items.
func (q *Queue) freeKeys(ctx context.Context, ids bson.A) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.items.UpdateMany(ctx, q.mine(bson.M{"_id": bson.M{"$in": ids}, "idemUntil": bson.M{"$lte": q.now()}}),
		bson.M{"$unset": bson.M{"idem": ""}})
	return err
}

// idemOver reports that the time of the idempotency key is over.
func (d *item) idemOver(now bson.DateTime) bool { return d.IdemUntil > 0 && d.IdemUntil <= now }

// await returns errAgain for an item of which nobody knows yet whether it will
// be, or that is about to go. What its writer has left half-way is ended here:
// there may be no reaper, because nobody claims.
func (q *Queue) await(ctx context.Context, d *item) (err error) {
	switch {
	case d.State == stateGone:
		err = q.bury(ctx, bson.M{"_id": d.DocID, "mark": d.Mark}, d.Key)
	case d.Since <= q.ago(abandonedAfter):
		err = q.resolveLeft(ctx, d.Batch, d.Peer)
	}
	if err == nil {
		err = errAgain
	}
	return err
}

func (q *Queue) newItem(it *pipeline.NewItem, id string) *item {
	d := &item{
		ID: id, Key: it.Key, Idem: it.IdempotencyKey, Priority: int32(it.Priority), MaxAttempts: int32(it.MaxAttempts),
		NotBefore: date(it.NotBefore), Deadline: date(it.Deadline), Meta: pairs{values: it.Meta}, Body: it.Body,
		TraceParent: it.Trace.Parent, TraceState: it.Trace.State,
	}
	d.At = due(d.NotBefore, d.Deadline)
	if it.IdempotencyScope == pipeline.ScopeActive {
		d.Active = it.IdempotencyKey
	}
	if ttl := it.IdempotencyTTL.D(); ttl > 0 && it.IdempotencyKey != "" {
		d.IdemUntil = q.now() + atLeast(ttl)
	}
	return d
}

// due is when an item that waits is claimable: a deadline ends the wait.
func due(notBefore, deadline bson.DateTime) bson.DateTime {
	if deadline > 0 {
		return min(notBefore, deadline)
	}
	return notBefore
}

// add writes new items: a single one at once, several by way of a batch.
func (q *Queue) add(ctx context.Context, docs []*item) error {
	if len(docs) == 0 {
		return nil
	}
	if err := q.number(ctx, docs); err != nil {
		return err
	}
	if len(docs) > 1 {
		return q.addBatch(ctx, docs)
	}
	d := docs[0]
	d.State, d.Live = cmp.Or(d.Becomes, stateReady), d.Becomes == ""
	d.Becomes = ""
	if d.Key != "" && d.Live {
		d.State, d.Mark = stateBehind, newMark()
	}
	if _, err := q.items.InsertOne(ctx, d); err != nil {
		return again(err)
	}
	if d.Mark != "" {
		q.passFrom(ctx, bson.M{"_id": d.DocID, "mark": d.Mark}, d.Key)
	}
	q.wake()
	return nil
}

// again makes errAgain of a duplicate key.
func again(err error) error {
	if mongo.IsDuplicateKeyError(err) {
		return errAgain
	}
	return err
}

// number gives the items their places. A number that is taken and not used is
// a gap and nothing else.
func (q *Queue) number(ctx context.Context, docs []*item) error {
	var doc queueDoc
	err := q.queues.FindOneAndUpdate(ctx, q.self(), bson.M{"$inc": bson.M{"seq": int64(len(docs))}},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return q.absent(ctx)
	}
	now := q.now()
	for i, d := range docs {
		d.DocID, d.Queue, d.Lane = q.docID(d.ID), q.name, laneOf(d.Key)
		d.Seq, d.Claims = doc.Seq-int64(len(docs)-1-i), max(d.Claims, doc.Floor)
		if d.Enqueued == 0 {
			d.Enqueued = now
		}
	}
	return err
}

// find reads items of the queue.
func (q *Queue) find(ctx context.Context, filter bson.M, o *options.FindOptionsBuilder) ([]*item, error) {
	cursor, err := q.items.Find(ctx, q.mine(filter), o)
	if err != nil {
		return nil, err
	}
	var out []*item
	err = cursor.All(ctx, &out)
	return out, err
}
