package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// maxSettle bounds how often settle begins anew because others were faster. If
// that is not enough the mark stays, and the reaper goes on.
const maxSettle = 100

// newMark is the value of mark of one operation. Only its own marks may be
// cleared: another's says that another settle is under way or was killed.
func newMark() string { return rand.Text() }

// passOn settles the keys and then clears the marks of this operation.
func (q *Queue) passOn(ctx context.Context, mark string, keys ...string) {
	q.passFrom(ctx, bson.M{"mark": mark}, keys...)
}

// passFrom is passOn of the items that a filter with a mark selects.
func (q *Queue) passFrom(ctx context.Context, marked bson.M, keys ...string) {
	q.insist(ctx, "pass a key's turn on", finishWithin, func(ctx context.Context) error {
		return q.pass(ctx, marked, keys...)
	})
}

// insist does what has to follow a write that is done, also if the caller has
// gone. It may be done twice, so it is tried again after an error. It does not
// fail: what the caller asked for is written, and what is left, the reaper does;
// then it says false.
func (q *Queue) insist(ctx context.Context, what string, within time.Duration, f func(context.Context) error) (done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	var err error
	for range 3 {
		if err = f(ctx); err == nil {
			return true
		}
		if mongo.IsTimeout(err) {
			break // the driver has waited long enough for all of us
		}
	}
	q.log.Warn("the queue could not "+what+"; the reaper will do it", "queue", q.name, "error", q.conn.Hide(err))
	return false
}

// pass settles the keys and then clears the marks of these items. If it is one
// item, by its _id, turn and mark go in one call: the driver cuts a call where
// writes of one follow writes of many.
func (q *Queue) pass(ctx context.Context, marked bson.M, keys ...string) error {
	clean := bson.M{"$unset": bson.M{"mark": ""}}
	if _, one := marked["_id"].(string); one && len(keys) == 1 {
		cleared, err := q.settle(ctx, keys[0], mongo.NewUpdateOneModel().SetFilter(q.mine(marked)).SetUpdate(clean))
		if err != nil || cleared {
			return err
		}
	} else if err := q.settleAll(ctx, keys); err != nil {
		return err
	}
	_, err := q.items.UpdateMany(ctx, q.mine(marked), clean)
	return err
}

// bury settles the keys of dropped items and then deletes these.
func (q *Queue) bury(ctx context.Context, marked bson.M, keys ...string) error {
	if err := q.settleAll(ctx, keys); err != nil {
		return err
	}
	marked["state"] = stateGone
	_, err := q.items.DeleteMany(ctx, q.mine(marked))
	return err
}

// together is how many keys are settled in one call: fewer than the ranges of an
// index that a server merges in their order.
const together = 100

// settleAll settles keys, most of them in two calls for a hundred.
func (q *Queue) settleAll(ctx context.Context, keys []string) error {
	for some := range slices.Chunk(keys, together) {
		left, err := some, error(nil)
		if len(some) > 1 {
			left, err = q.settleTogether(ctx, some)
		}
		if err != nil {
			return err
		}
		for _, key := range left {
			if _, err := q.settle(ctx, key, nil); err != nil {
				return fmt.Errorf("key %q: %w", key, err)
			}
		}
	}
	return nil
}

// settleTogether looks at the items of several keys at once and gives the turns
// that it can. It returns the keys that need a closer look: another item has the
// turn, or so many items wait that not all heads were seen.
func (q *Queue) settleTogether(ctx context.Context, keys []string) (left []string, err error) {
	waiting, err := q.find(ctx, bson.M{"key": bson.M{"$in": keys}, "live": true},
		options.Find().SetSort(byAge()).SetLimit(int64(q.page)).SetProjection(headFields()))
	if err != nil {
		return nil, err
	}
	ofKey := map[string][]*item{}
	for _, d := range waiting {
		ofKey[d.Key] = append(ofKey[d.Key], d)
	}
	all, ids, heads, writes := len(waiting) < q.page, bson.A{}, []*item{}, []mongo.WriteModel{}
	for _, key := range keys {
		live := ofKey[key]
		switch {
		case len(live) == 0:
			if !all {
				left = append(left, key)
			}
			continue
		case !live[0].awaitsTurn():
			continue
		case live[0].recalled():
			enough := false
			if ids, enough = overtaken(ids, live[1:]); !enough && !all {
				left = append(left, key)
				continue
			}
		}
		heads, writes = append(heads, live[0]), append(writes, q.turnTo(live[0], key))
	}
	if err := q.overtake(ctx, ids); err != nil {
		return nil, err
	}
	if len(writes) == 0 {
		return left, nil
	}
	_, err = q.changeAll(ctx, writes)
	q.wake()
	var refused mongo.BulkWriteException
	if !mongo.IsDuplicateKeyError(err) || !errors.As(err, &refused) {
		return left, err
	}
	for _, e := range refused.WriteErrors {
		left = append(left, heads[e.Index].Key)
	}
	return left, nil
}

var errUnsettled = errors.New("the turn changed hands too often")

// headFields are what is to be known of an item that may be the head of its key.
func headFields() bson.M {
	return bson.M{"key": 1, "state": 1, "live": 1, "seq": 1, "batch": 1, "claims": 1, "overtaken": 1, "attempts": 1, "deadline": 1}
}

// awaitsTurn reports, of the oldest live item of a key, that it is to get the turn.
// If it has it, is leased or frozen, nobody is: its end settles the key again. The
// leased one counts although it is not ready: given back after this look, it would
// be before any that was ready at the look. So does one that is recalled: it is
// about to be ready.
func (d *item) awaitsTurn() bool { return (d.State == stateBehind || d.recalled()) && !d.frozen() }

// settle gives the turn of a key to its oldest live item, if that is behind. Any
// number of processes may do so at the same time, and any may die at any point:
// each write is conditional, the unique index on turn lets one of them win, and
// whoever made settle necessary left a mark. The write after, if there is one, is
// done in the same call once the turn is given, and then reported.
func (q *Queue) settle(ctx context.Context, key string, after mongo.WriteModel) (afterToo bool, err error) {
	for range maxSettle {
		var head item
		err := q.items.FindOne(ctx, q.mine(bson.M{"key": key, "live": true}),
			options.FindOne().SetSort(byAge()).SetProjection(headFields())).Decode(&head)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return false, nil
		}
		if err != nil || !head.awaitsTurn() {
			return false, err
		}
		if head.recalled() {
			if err := q.overtakeBy(ctx, key, &head); err != nil {
				return false, err
			}
		}
		given, err := q.giveTurn(ctx, key, &head, after)
		if err != nil {
			return false, err
		}
		if given {
			q.wake()
			return after != nil, nil
		}
		if over, err := q.yieldTurn(ctx, key, &head); over || err != nil {
			return false, err
		}
	}
	return false, errUnsettled
}

// giveTurn tries to give the turn to the item that was seen at the head; false
// says that another has it. If the item is no longer as it was seen, that is as good:
// whoever changed it has given it the turn, or has left a mark, or met one.
func (q *Queue) giveTurn(ctx context.Context, key string, head *item, after mongo.WriteModel) (given bool, err error) {
	writes := []mongo.WriteModel{q.turnTo(head, key)}
	if after != nil {
		writes = append(writes, after)
	}
	_, err = q.items.BulkWrite(ctx, writes) // ordered: a refused turn ends it
	if mongo.IsDuplicateKeyError(err) {
		return false, nil
	}
	return err == nil, err
}

// turnTo is the write by which an item that is behind or recalled gets the turn.
func (q *Queue) turnTo(d *item, key string) mongo.WriteModel {
	return q.advance(d, bson.M{"state": stateReady, "turn": key})
}

// yieldTurn takes the turn away from an item that is younger than the head and
// not leased. True says that the key is settled: an end settles it again.
func (q *Queue) yieldTurn(ctx context.Context, key string, head *item) (settled bool, err error) {
	var holder item
	err = q.items.FindOne(ctx, q.mine(bson.M{"turn": key}), options.FindOne().SetProjection(bson.M{"state": 1, "seq": 1, "batch": 1})).Decode(&holder)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return false, nil
	case err != nil:
		return false, err
	case holder.State == stateLeased || holder.frozen():
		return true, nil
	case holder.Seq > head.Seq:
		_, err = q.items.UpdateOne(ctx, q.mine(bson.M{"_id": holder.DocID, "state": stateReady, "turn": key}),
			bson.M{"$set": bson.M{"state": stateBehind}, "$unset": bson.M{"turn": ""}})
	}
	return false, err
}

// keySet collects the keys of items; the empty one is none.
type keySet map[string]struct{}

func (s keySet) add(key string) {
	if key != "" {
		s[key] = struct{}{}
	}
}

func (s keySet) list() []string {
	out := make([]string, 0, len(s))
	for key := range s {
		out = append(out, key)
	}
	return out
}
