package mongodb

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// wholePage bounds how many items with their bodies are in memory at a time.
const wholePage = 100

// Export calls yield for each whole entry, oldest first.
func (q *Queue) Export(ctx context.Context, f pipeline.Filter, yield func(pipeline.Entry) error) error {
	filter := q.filter(f, visible...)
	for left, after := f.Limit, int64(0); ; {
		size := wholePage
		if f.Limit > 0 {
			size = min(left, size)
		}
		filter["seq"] = bson.M{"$gt": after}
		page, err := q.find(ctx, filter, options.Find().SetSort(byAge()).SetLimit(int64(size)))
		if err != nil {
			return q.fail("export", err)
		}
		for _, d := range page {
			if err := yield(d.entry(q.now())); err != nil {
				return err
			}
		}
		if left -= len(page); len(page) < size || left == 0 {
			return nil
		}
		after = page[len(page)-1].Seq
	}
}

// Import adds entries in their order, all or none, as an enqueue does. Ids that
// the queue has already are left out.
func (q *Queue) Import(ctx context.Context, entries []pipeline.Entry) (int, error) {
	if err := validEntries(entries); err != nil {
		return 0, err
	}
	n := 0
	err := q.unimpeded(ctx, func() (err error) {
		n, err = q.importNew(ctx, entries)
		return err
	})
	return n, q.fail("import", err)
}

func (q *Queue) importNew(ctx context.Context, entries []pipeline.Entry) (int, error) {
	var ids, idems bson.A
	for i := range entries {
		ids = append(ids, q.docID(entries[i].ID))
		if key := entries[i].IdempotencyKey; key != "" {
			idems = append(idems, key)
		}
	}
	k, err := q.taken(ctx, ids, idems)
	if err != nil {
		return 0, err
	}
	var docs []*item
	for i := range entries {
		e := &entries[i]
		if k.ids[e.ID] {
			continue
		}
		d := fromEntry(e, q.now())
		if _, ok := k.idems[d.Idem]; ok && d.Idem != "" {
			d.Idem, d.IdemUntil, d.Active = "", 0, ""
		}
		k.idems[d.Idem] = d.ID
		docs = append(docs, d)
	}
	if err := q.add(ctx, docs); err != nil {
		return 0, err
	}
	return len(docs), nil
}

// validEntries refuses what no queue could have had.
func validEntries(entries []pipeline.Entry) error {
	seen := make(map[string]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		it := pipeline.NewItem{ID: e.ID, Key: e.Key, Body: e.Body, Meta: e.Meta, Priority: e.Priority, NotBefore: e.NotBefore, Deadline: e.Deadline,
			MaxAttempts: e.MaxAttempts, IdempotencyKey: e.IdempotencyKey, IdempotencyScope: e.IdempotencyScope, Trace: e.Trace}
		err := it.Validate()
		switch {
		case err != nil:
		case e.ID == "" || seen[e.ID]:
			err = pipeline.Fail("bad-item", "the id %q is missing or there twice", e.ID)
		case shown(string(e.State)) != e.State || !slices.Contains(visible, string(e.State)):
			err = pipeline.Fail("bad-item", "item %q: %q is no state", e.ID, e.State)
		case e.Attempts < 0 || e.Attempts > math.MaxInt32 || e.Token < 0 || e.Token > maxForeignToken:
			err = pipeline.Fail("bad-item", "item %q: no queue has %d attempts under the token %d", e.ID, e.Attempts, e.Token)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
		seen[e.ID] = true
	}
	return nil
}

// maxForeignToken leaves room for claims above it.
const maxForeignToken = 1 << 62

// fromEntry is the inverse of entry: a leased item is ready again, and tokens go
// on from the entry's.
func fromEntry(e *pipeline.Entry, now bson.DateTime) *item {
	claims, _, _ := claimsOf(e.Token)
	d := &item{
		ID: e.ID, Key: e.Key, Priority: int32(e.Priority), Attempts: int32(e.Attempts), MaxAttempts: int32(e.MaxAttempts), Claims: claims,
		NotBefore: date(e.NotBefore), Deadline: date(e.Deadline), Enqueued: date(e.Enqueued), Cancelled: e.Cancelled,
		TraceParent: e.Trace.Parent, TraceState: e.Trace.State, Meta: pairs{values: e.Meta}, Body: e.Body,
	}
	for _, h := range e.History {
		d.History = append(d.History, event{At: date(h.At), Attempt: int32(h.Attempt), What: h.What, Kind: h.Kind, Code: h.Code, Stage: h.Stage, Error: h.Error})
	}
	d.History = d.History[max(0, len(d.History)-maxHistory):]
	ended := e.State == pipeline.StateDone || e.State == pipeline.StateDead
	active := e.IdempotencyScope == pipeline.ScopeActive
	if d.IdemUntil = date(e.IdempotencyUntil); !d.idemOver(now) && !(ended && active) {
		d.Idem = e.IdempotencyKey
	}
	if active {
		d.Active = e.IdempotencyKey
	}
	switch {
	case ended:
		d.Becomes, d.Ended = string(e.State), date(e.Ended)
		d.Result, d.Digest, d.Error = string(e.Result), string(e.Digest), e.Error
		if n := len(d.History); d.Error == "" && e.State == pipeline.StateDead && n > 0 {
			d.Error = d.History[n-1].Error
		}
	case !d.Cancelled:
		d.At = due(d.NotBefore, d.Deadline)
	}
	return d
}

// Compact deletes what was done at least keep ago. The server uses the space again
// by itself; it goes back to the file system by the command compact on each member.
func (q *Queue) Compact(ctx context.Context, keep time.Duration) (pipeline.Compaction, error) {
	c := pipeline.Compaction{Before: q.size(ctx)}
	done := q.filter(pipeline.Filter{}, stateDone)
	done["ended"] = bson.M{"$lte": q.ago(keep)}
	n, err := q.inPages(ctx, done, 0, q.dropAll(ctx))
	c.Deleted, c.After = int64(n), q.size(ctx)
	if c.Before == 0 || c.After == 0 {
		c.Before, c.After = 0, 0
	}
	return c, q.fail("compact", err)
}

// size is what the items take on the server's disk, 0 if it does not tell: the
// right to ask is not part of readWrite everywhere.
func (q *Queue) size(ctx context.Context) int64 {
	var stats struct {
		Storage float64 `bson:"storageSize"`
		Index   float64 `bson:"totalIndexSize"`
	}
	if err := q.items.Database().RunCommand(ctx, bson.D{{Key: "collStats", Value: q.items.Name()}}).Decode(&stats); err != nil {
		return 0
	}
	return int64(stats.Storage + stats.Index)
}
