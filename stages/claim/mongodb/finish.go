package mongodb

import (
	"context"
	"errors"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// maxHistory events are kept of an item, the latest ones: an item that is
	// given back for weeks (an open breaker) does not grow without end.
	maxHistory = 64
	// maxCause is how much of an error's text is kept.
	maxCause = 4 << 10
)

// Ack ends the item, at a majority when it returns. The same acknowledgement
// again changes nothing and succeeds; any other under a token that is no longer
// the live one is ErrLeaseLost.
func (q *Queue) Ack(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	set, unset := bson.M{"state": stateDone, "result": string(o.Result), "digest": string(o.Digest), "at": bson.DateTime(0)}, bson.M{"live": ""}
	var e *event
	now := q.now()
	set["ended"] = now
	switch o.Result {
	case pipeline.Succeeded, pipeline.Skipped:
	case pipeline.Dropped:
		e = causeEvent(now, "dropped", it.Attempt, o.Cause)
	case pipeline.Dead:
		e = causeEvent(now, "dead", it.Attempt, o.Cause)
		set["state"], set["error"] = stateDead, e.Error
	default:
		return pipeline.Fail("bad-outcome", "%q is not a result", o.Result)
	}
	if _, _, active := claimsOf(it.Token); active {
		unset["idem"] = ""
	}
	left, err := q.leave(ctx, it, set, unset, 0, e)
	if err == nil && !left {
		err = q.acked(ctx, it, o)
	}
	return q.fail("ack", err)
}

// acked reports whether this very acknowledgement was written before. It asks
// for what a majority has: one that a failover may undo does not count.
func (q *Queue) acked(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	f := q.tokened(it)
	f["state"], f["result"], f["digest"] = bson.M{"$in": bson.A{stateDone, stateDead}}, string(o.Result), string(o.Digest)
	err := q.confirmed().FindOne(ctx, f, options.FindOne().SetProjection(bson.M{"_id": 1})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return q.lost(it)
	}
	return err
}

// Nack makes the item ready again, now or after a wait.
func (q *Queue) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	what, back := "retry", int32(0)
	if r.Refund {
		what = "released"
		if it.Condemned == nil { // the claim counted one
			back = 1
		}
	}
	now, wait := q.now(), bson.DateTime(0)
	if r.After > 0 {
		wait = now + atLeast(r.After) + 1 // now is rounded down, and the wait is a lower bound
	}
	set := bson.M{"state": stateReady, "owner": "", "notBefore": wait, "at": due(wait, date(it.Deadline))}
	if pipeline.CodeOf(it.Condemned) == pipeline.CodeCancelled {
		set["at"] = bson.DateTime(0)
	}
	left, err := q.leave(ctx, it, set, bson.M{}, -back, causeEvent(now, what, it.Attempt, r.Cause))
	if err == nil && !left {
		err = q.lost(it)
	}
	return q.fail("nack", err)
}

// leave is the one conditional write by which an item leaves its lease; false
// says that the condition did not hold. An item with a key gives up the turn in
// the same write, which is then settled.
func (q *Queue) leave(ctx context.Context, it *pipeline.Item, set, unset bson.M, attempts int32, e *event) (bool, error) {
	filter := q.onLease(it)
	unset["claim"] = ""
	mark := ""
	if it.Key != "" {
		mark = newMark()
		giveUpTurn(set, unset, mark)
		filter["key"] = it.Key
	}
	change := bson.M{"$set": set, "$unset": unset}
	if attempts != 0 {
		change["$inc"] = bson.M{"attempts": attempts}
	}
	if e != nil {
		change["$push"] = push(*e)
	}
	r, err := q.items.UpdateOne(ctx, filter, change)
	if err != nil || r.MatchedCount == 0 {
		return false, err
	}
	if it.Key != "" {
		q.passFrom(ctx, bson.M{"_id": q.docID(it.ID), "mark": mark}, it.Key)
	}
	if set["state"] == stateReady {
		q.wake()
	}
	return true, nil
}

// giveUpTurn adds to a write by which an item with a key leaves its lease: who
// is next is found out anew, this item included.
func giveUpTurn(set, unset bson.M, mark string) {
	if set["state"] == stateReady {
		set["state"] = stateBehind
	}
	set["mark"], unset["turn"] = mark, ""
}

// push adds an event to the history and drops the oldest.
func push(e event) bson.M {
	return bson.M{"history": bson.M{"$each": bson.A{e}, "$slice": -maxHistory}}
}

// Renew extends all leases in one call, from now on, and returns those that are
// lost.
func (q *Queue) Renew(ctx context.Context, items []*pipeline.Item) ([]*pipeline.Item, error) {
	if len(items) == 0 {
		return nil, nil
	}
	until := bson.M{"$set": bson.M{"at": q.now() + bson.DateTime(q.opt.Lease.Milliseconds())}}
	writes := make([]mongo.WriteModel, len(items))
	for i, it := range items {
		writes[i] = mongo.NewUpdateOneModel().SetFilter(q.onLease(it)).SetUpdate(until)
	}
	r, err := q.items.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if err != nil || r.MatchedCount == int64(len(items)) {
		return nil, q.fail("renew", err)
	}
	held, err := q.held(ctx, items)
	if err != nil {
		return nil, q.fail("renew", err)
	}
	var lost []*pipeline.Item
	for _, it := range items {
		if held[q.docID(it.ID)] != it.Token {
			lost = append(lost, it)
		}
	}
	return lost, nil
}

// held returns the live tokens of those of the items that are leased. One that
// is lost since the renewal is reported now, and not in a third of a lease.
func (q *Queue) held(ctx context.Context, items []*pipeline.Item) (map[string]int64, error) {
	ids := make(bson.A, len(items))
	for i, it := range items {
		ids[i] = q.docID(it.ID)
	}
	found, err := q.find(ctx, bson.M{"_id": bson.M{"$in": ids}, "state": stateLeased}, options.Find().SetProjection(bson.M{"claims": 1, "salt": 1, "active": 1}))
	tokens := make(map[string]int64, len(found))
	for _, d := range found {
		tokens[d.DocID] = d.token()
	}
	return tokens, err
}

// causeEvent describes a failure for the history.
func causeEvent(at bson.DateTime, what string, attempt int, cause error) *event {
	e := &event{At: at, What: what, Attempt: int32(attempt)}
	if cause == nil {
		return e
	}
	e.Kind, e.Code = pipeline.KindOf(cause).String(), pipeline.CodeOf(cause)
	e.Error = strings.ToValidUTF8(cause.Error(), "?")
	e.Error = strings.ToValidUTF8(e.Error[:min(len(e.Error), maxCause)], "")
	var typed *pipeline.Error
	if errors.As(cause, &typed) {
		e.Stage = typed.Stage
	}
	return e
}
