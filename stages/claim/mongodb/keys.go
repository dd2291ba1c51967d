package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

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
	q.insist(ctx, "pass a key's turn on", func(ctx context.Context) error {
		return q.pass(ctx, bson.M{"mark": mark}, keys...)
	})
}

// insist does what has to follow a write that is done, also if the caller has
// gone. It may be done twice, so it is tried again after an error. It does not
// fail: what the caller asked for is written, and what is left, the reaper does.
func (q *Queue) insist(ctx context.Context, what string, f func(context.Context) error) {
	ctx, cancel := onwards(ctx)
	defer cancel()
	var err error
	for range 3 {
		if err = f(ctx); err == nil {
			return
		}
		if mongo.IsTimeout(err) {
			break // the driver has waited long enough for all of us
		}
	}
	q.log.Warn("the queue could not "+what+"; the reaper will do it", "queue", q.name, "error", q.at.hide(err))
}

// pass settles the keys and then clears the marks of these items.
func (q *Queue) pass(ctx context.Context, marked bson.M, keys ...string) error {
	if err := q.settleAll(ctx, keys); err != nil {
		return err
	}
	_, err := q.items.UpdateMany(ctx, q.mine(marked), bson.M{"$unset": bson.M{"mark": ""}})
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

func (q *Queue) settleAll(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := q.settle(ctx, key); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

var errUnsettled = errors.New("the turn changed hands too often")

// settle gives the turn of a key to its oldest ready item, unless an item of it
// is leased. Any number of processes may do so at the same time, and any may die
// at any point: each write is conditional, the unique index on turn lets one of
// them win, and whoever made settle necessary left a mark.
func (q *Queue) settle(ctx context.Context, key string) error {
	for range maxSettle {
		var head item
		err := q.items.FindOne(ctx, q.mine(bson.M{"key": key, "state": bson.M{"$in": bson.A{stateBehind, stateReady}}}),
			options.FindOne().SetSort(bson.D{{Key: "seq", Value: 1}}).SetProjection(bson.M{"state": 1, "seq": 1})).Decode(&head)
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err != nil || head.State == stateReady {
			return err
		}
		settled, err := q.giveTurn(ctx, key, head)
		if settled || err != nil {
			return err
		}
	}
	return errUnsettled
}

// giveTurn tries to give the turn to the item that was seen at the head. If a
// younger one has it and is not leased, it is taken away; then, and if anything
// has changed since the look, the answer is false.
func (q *Queue) giveTurn(ctx context.Context, key string, head item) (settled bool, err error) {
	r, err := q.items.UpdateOne(ctx, q.mine(bson.M{"_id": head.DocID, "state": stateBehind}),
		bson.M{"$set": bson.M{"state": stateReady, "turn": key}})
	if err == nil {
		return r.MatchedCount == 1, nil
	}
	if !mongo.IsDuplicateKeyError(err) {
		return false, err
	}
	var holder item
	err = q.items.FindOne(ctx, q.mine(bson.M{"turn": key}), options.FindOne().SetProjection(bson.M{"state": 1, "seq": 1})).Decode(&holder)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return false, nil
	case err != nil:
		return false, err
	case holder.State == stateLeased:
		return true, nil // its end settles again
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
