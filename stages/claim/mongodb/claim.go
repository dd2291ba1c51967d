package mongodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	randv2 "math/rand/v2"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// agedEvery: of this many claims one takes the oldest item whatever its
	// priority, so that nothing starves.
	agedEvery = 8
	// maxRounds is how often a batch that came out empty, because others were
	// faster, is tried again at once.
	maxRounds = 8
)

// Claim leases at most max claimable items, highest priority first and oldest
// first inside one, of the lanes that are this process's; none while the queue is
// paused. If claims spread over lanes, the order holds inside each part. Its
// context matters only until the claim is made.
func (q *Queue) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if max <= 0 {
		return nil, nil
	}
	if err := q.begin(&q.reaping, q.reapLoop); err != nil {
		return nil, q.fail("claim", err)
	}
	if doc, err := q.read(ctx); err != nil || doc.Paused {
		return nil, q.fail("claim", err)
	}
	out, err := q.claim(ctx, max)
	q.picks.Add(int64(len(out)))
	if len(out) > 0 || err == nil {
		q.bell.Claimed(len(out))
	}
	if len(out) > 0 {
		return out, nil // an error after that is the next claim's
	}
	return nil, q.fail("claim", err)
}

// claim tries its part of the lanes, and then all of them for what is missing.
func (q *Queue) claim(ctx context.Context, max int) (out []*pipeline.Item, err error) {
	turn := q.turns.Add(1)
	picks := q.picks.Load()
	aged := int((picks+int64(max))/agedEvery - picks/agedEvery)
	for spread := q.at.lanes; ; spread = 1 {
		lanes := q.lanes(turn, spread)
		var got []*pipeline.Item
		if missing := max - len(out); missing == 1 {
			got, err = q.claimOne(ctx, lanes, aged > 0 && len(out) == 0)
		} else {
			got, err = q.claimBatch(ctx, lanes, missing, aged)
		}
		out = append(out, got...)
		if err != nil || len(out) == max || spread == 1 {
			return out, err
		}
		aged = 0
	}
}

// claimable selects what a claim may take in these lanes, nil for all, and the
// order in which. The lease of an item is not part of it: that is the reaper's.
func (q *Queue) claimable(lanes bson.A, now bson.DateTime, aged bool) (filter bson.M, order bson.D) {
	filter, order = q.mine(bson.M{"state": stateReady, "at": bson.M{"$lte": now}}), byPriority()
	if lanes != nil {
		filter["lane"] = bson.M{"$in": lanes}
	}
	if aged {
		order = byAge()
	}
	if aged && lanes == nil { // so that the index of the order serves, in ten ranges
		filter["priority"] = anyPriority()
	}
	return filter, order
}

// The orders are those of the indexes waybill_order and, if lanes are named,
// waybill_lane and waybill_age, of which the server merges a range for each lane.
func byPriority() bson.D { return bson.D{{Key: "priority", Value: -1}, {Key: "seq", Value: 1}} }
func byAge() bson.D      { return bson.D{{Key: "seq", Value: 1}} }

func anyPriority() bson.M { return bson.M{"$in": bson.A{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}} }

// stamp is what every claim of a call sets.
type stamp struct {
	claim string // the random token by which the items are found again
	now   bson.DateTime
	set   bson.M
}

func (q *Queue) stamp() stamp {
	s := stamp{claim: rand.Text(), now: q.now()}
	s.set = bson.M{"state": stateLeased, "claim": s.claim, "salt": randv2.Int64N(1 << saltBits), "owner": q.opt.Owner,
		"at": s.now + bson.DateTime(q.opt.Lease.Milliseconds())}
	return s
}

// claimOne takes the first item in one round trip. Only the answer shows
// whether the item may run; if not, or if its last lease ran out, a second
// write says so. Should we die in between, the item has one attempt too many
// in its books, which condemned ones do not need, or is marked as expired,
// which it then is.
func (q *Queue) claimOne(ctx context.Context, lanes bson.A, aged bool) ([]*pipeline.Item, error) {
	s := q.stamp()
	filter, order := q.claimable(lanes, s.now, aged)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := onwards(ctx)
	defer cancel()
	var d item
	err := q.items.FindOneAndUpdate(ctx, filter, bson.M{"$set": s.set, "$inc": bson.M{"claims": 1, "attempts": 1}},
		options.FindOneAndUpdate().SetSort(order).SetReturnDocument(options.After).SetProjection(bson.M{"history": 0})).Decode(&d)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil, nil
	case err != nil:
		return nil, err
	}
	d.Attempts--
	v := q.judge(&d, s.now)
	if v.condemned || d.Expired {
		r, err := q.items.UpdateOne(ctx, q.mine(bson.M{"_id": d.DocID, "state": stateLeased, "claim": s.claim}),
			bson.M{"$set": bson.M{"expired": v.exhausted}, "$inc": bson.M{"attempts": v.attempt() - 1}})
		if err != nil || r.MatchedCount == 0 {
			return nil, err
		}
	}
	return []*pipeline.Item{v.item(&d, d.Attempts+v.attempt())}, nil
}

// claimBatch finds the first items, claims those that are still as they were
// seen, and reads back what it got.
func (q *Queue) claimBatch(ctx context.Context, lanes bson.A, n, aged int) ([]*pipeline.Item, error) {
	for range maxRounds {
		seen, err := q.pick(ctx, lanes, n, aged)
		if err != nil || len(seen) == 0 {
			return nil, err
		}
		out, err := q.take(ctx, seen)
		if len(out) > 0 || err != nil {
			return out, err
		}
		if !pause(ctx, randv2.N(5*time.Millisecond)) { // somebody else was faster with all of them
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

// pick finds the oldest items, as many as the ageing asks for, and then the
// first by priority.
func (q *Queue) pick(ctx context.Context, lanes bson.A, n, aged int) ([]*item, error) {
	fields := bson.M{"attempts": 1, "expired": 1, "deadline": 1, "maxAttempts": 1, "cancelled": 1}
	var out []*item
	if aged > 0 {
		filter, order := q.claimable(lanes, q.now(), true)
		var err error
		if out, err = q.find(ctx, filter, options.Find().SetSort(order).SetLimit(int64(aged)).SetProjection(fields)); err != nil {
			return nil, err
		}
	}
	filter, order := q.claimable(lanes, q.now(), false)
	rest, err := q.find(ctx, filter, options.Find().SetSort(order).SetLimit(int64(n)).SetProjection(fields))
	for _, d := range rest {
		if len(out) < n && !slices.ContainsFunc(out, func(o *item) bool { return o.DocID == d.DocID }) {
			out = append(out, d)
		}
	}
	return out, err
}

// take claims the items in one call, one statement for all that are in the same
// state, and returns what it got in the order of the candidates. An item has
// at most one of each key, because only one of a key has its turn.
func (q *Queue) take(ctx context.Context, seen []*item) ([]*pipeline.Item, error) {
	s := q.stamp()
	verdicts := make(map[string]verdict, len(seen))
	groups := map[verdict]bson.A{}
	for _, d := range seen {
		v := q.judge(d, s.now)
		verdicts[d.DocID] = v
		groups[v] = append(groups[v], d.DocID)
	}
	writes := make([]mongo.WriteModel, 0, len(groups))
	for v, ids := range groups {
		writes = append(writes, mongo.NewUpdateManyModel().SetFilter(q.mine(v.still(ids, s.now))).SetUpdate(v.update(s.set)))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := onwards(ctx)
	defer cancel()
	r, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if err == nil && r.MatchedCount == 0 {
		return nil, nil
	}
	// After an error some may be ours all the same.
	got, readErr := q.find(ctx, bson.M{"claim": s.claim, "state": stateLeased}, options.Find().SetProjection(bson.M{"history": 0}))
	if readErr != nil {
		return nil, cmp.Or(err, readErr)
	}
	byID := make(map[string]*item, len(got))
	for _, d := range got {
		byID[d.DocID] = d
	}
	var out []*pipeline.Item
	for _, c := range seen {
		d := byID[c.DocID]
		if d == nil {
			continue
		}
		if d.Meta.err != nil && !verdicts[c.DocID].condemned { // it was picked unread, and counts no attempt
			mine := q.mine(bson.M{"_id": d.DocID, "state": stateLeased, "claim": s.claim})
			if _, err := q.items.UpdateOne(ctx, mine, bson.M{"$inc": bson.M{"attempts": -1}}); err != nil {
				continue
			}
			d.Attempts--
		}
		out = append(out, verdicts[c.DocID].item(d, d.Attempts))
	}
	return out, err
}
