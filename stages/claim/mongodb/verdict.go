package mongodb

import (
	"maps"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// verdict says whether a ready item may run, and on which of its fields that
// rests. Only an expired lease uses attempts up: an item that was given back is
// the business of who gave it back.
type verdict struct {
	attempts                   int32
	expired                    bool
	cancelled, late, exhausted bool
	condemned                  bool
}

// judge judges an item as it was before the claim.
func (q *Queue) judge(d *item, now bson.DateTime) verdict {
	limit := d.MaxAttempts
	if limit == 0 {
		limit = int32(q.opt.MaxAttempts)
	}
	v := verdict{attempts: d.Attempts, expired: d.Expired, cancelled: d.Cancelled, late: d.Deadline > 0 && d.Deadline <= now,
		exhausted: d.Expired && limit > 0 && d.Attempts >= limit}
	v.condemned = v.cancelled || v.late || v.exhausted || d.Meta.err != nil
	return v
}

// attempt is what the claim adds to the attempts: a condemned item makes none.
func (v verdict) attempt() int32 {
	if v.condemned {
		return 0
	}
	return 1
}

// still selects those of the items for which the verdict holds at the moment of
// the write.
func (v verdict) still(ids bson.A, now bson.DateTime) bson.M {
	f := bson.M{"_id": bson.M{"$in": ids}, "state": stateReady, "attempts": v.attempts, "expired": v.expired, "at": bson.M{"$lte": now},
		"cancelled": bson.M{"$exists": v.cancelled}}
	if v.late {
		f["deadline"] = bson.M{"$lte": now}
	}
	return f
}

// update is the claim's write; set is what all claims of the call have.
func (v verdict) update(set bson.M) bson.M {
	set = maps.Clone(set)
	set["expired"] = v.exhausted
	return bson.M{"$set": set, "$inc": bson.M{"claims": 1, "attempts": v.attempt()}}
}

// item is the claimed item after so many attempts.
func (v verdict) item(d *item, attempts int32) *pipeline.Item {
	it := d.claimed()
	it.Attempt = int(attempts)
	switch {
	case v.cancelled:
		it.Condemned = pipeline.CancelledItem()
	case v.late:
		it.Condemned = pipeline.DeadlineExceeded(it.Deadline)
	case v.exhausted:
		it.Condemned = pipeline.AttemptsExhausted(it.Attempt)
	case d.Meta.err != nil:
		it.Condemned = pipeline.Fail("unreadable", "the item cannot be read: meta: %w", d.Meta.err)
	}
	return it
}
