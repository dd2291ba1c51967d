package mongodb

import (
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// States as the documents have them; doc.go says what staged, behind and gone
// are for.
const (
	stateStaged = "staged"
	stateBehind = "behind"
	stateReady  = "ready"
	stateLeased = "leased"
	stateDone   = "done"
	stateDead   = "dead"
	stateGone   = "gone"
)

// visible are the states that callers can see, unleased those among them that an
// operator may change at will. Nobody writes to either.
var (
	visible  = []string{stateBehind, stateReady, stateLeased, stateDone, stateDead}
	unleased = []string{stateBehind, stateReady, stateDone, stateDead}
)

// item is a document of the items collection. docs/queues.md describes the
// fields for operators. A field that indexes are partial over is absent, not
// empty.
type item struct {
	DocID       string        `bson:"_id"` // see docID
	Queue       string        `bson:"queue"`
	ID          string        `bson:"id"`
	Lane        int32         `bson:"lane"`
	State       string        `bson:"state"`
	Live        bool          `bson:"live,omitempty"` // ready, behind or leased; never changes in between
	Key         string        `bson:"key,omitempty"`
	Turn        string        `bson:"turn,omitempty"`      // the key, if this item has its turn
	Mark        string        `bson:"mark,omitempty"`      // the key's turn is to be settled
	Overtaken   int32         `bson:"overtaken,omitempty"` // how often an older item of the key was retried while this one was next
	Batch       string        `bson:"batch,omitempty"`     // of staged and frozen ones
	Peer        string        `bson:"peer,omitempty"`      // of a move: the other queue
	Since       bson.DateTime `bson:"since,omitempty"`     // staged or frozen
	Becomes     string        `bson:"becomes,omitempty"`   // of staged ones: done or dead; else ready
	Idem        string        `bson:"idem,omitempty"`      // the idempotency key, while it is in force
	IdemUntil   bson.DateTime `bson:"idemUntil,omitempty"`
	Active      string        `bson:"active,omitempty"` // the key that is free when the item ends
	Seq         int64         `bson:"seq"`
	Priority    int32         `bson:"priority"`
	At          bson.DateTime `bson:"at"` // ready: claimable from then on; leased: the lease's end
	NotBefore   bson.DateTime `bson:"notBefore,omitempty"`
	Deadline    bson.DateTime `bson:"deadline,omitempty"`
	MaxAttempts int32         `bson:"maxAttempts"`
	Attempts    int32         `bson:"attempts"`
	Expired     bool          `bson:"expired"`
	Cancelled   bool          `bson:"cancelled,omitempty"`
	Claims      int64         `bson:"claims"`
	Salt        int64         `bson:"salt"`
	Claim       string        `bson:"claim,omitempty"` // of leased ones: the random token of the call
	Owner       string        `bson:"owner,omitempty"`
	Enqueued    bson.DateTime `bson:"enqueued"`
	Ended       bson.DateTime `bson:"ended,omitempty"`
	Result      string        `bson:"result,omitempty"`
	Digest      string        `bson:"digest,omitempty"`
	Error       string        `bson:"error,omitempty"`
	TraceParent string        `bson:"traceparent,omitempty"`
	TraceState  string        `bson:"tracestate,omitempty"`
	Meta        pairs         `bson:"meta,omitempty"`
	Body        []byte        `bson:"body,omitempty"`
	History     []event       `bson:"history,omitempty"`
}

// event is one line of an item's history.
type event struct {
	At      bson.DateTime `bson:"at"`
	Attempt int32         `bson:"attempt"`
	What    string        `bson:"what"`
	Kind    string        `bson:"kind,omitempty"`
	Code    string        `bson:"code,omitempty"`
	Stage   string        `bson:"stage,omitempty"`
	Error   string        `bson:"error,omitempty"`
}

// saltBits is how much of a fencing token is random; the rest counts claims, but
// for the last bit.
const saltBits = 20

// token is the fencing token of an item's latest claim. It grows because claims
// does; the salt makes it differ from that of a claim that a failover undid. The
// last bit says that the item's end frees its idempotency key: the write of the
// end has nothing but the token to know it from.
func (d *item) token() int64 {
	t := (d.Claims<<saltBits | d.Salt) << 1
	if d.Active != "" {
		t |= 1
	}
	return t
}

// claimsOf is the inverse.
func claimsOf(token int64) (claims, salt int64, active bool) {
	return token >> 1 >> saltBits, token >> 1 & (1<<saltBits - 1), token&1 == 1
}

// onLease is the condition of every write of a worker: item, token, leased.
func (q *Queue) onLease(it *pipeline.Item) bson.M {
	f := q.tokened(it)
	f["state"] = stateLeased
	return f
}

func (q *Queue) tokened(it *pipeline.Item) bson.M {
	claims, salt, _ := claimsOf(it.Token)
	return bson.M{"_id": q.docID(it.ID), "queue": q.name, "claims": claims, "salt": salt}
}

// frozen reports that a move is about to take the item away, or to let it go
// again: until then nobody changes it.
func (d *item) frozen() bool { return d.Batch != "" && d.State != stateStaged }

// claimed is the item as a worker gets it.
func (d *item) claimed() *pipeline.Item {
	it := &pipeline.Item{
		ID: d.ID, Key: d.Key, Queue: d.Queue, Priority: int(d.Priority), Attempt: int(d.Attempts), MaxAttempts: int(d.MaxAttempts),
		Token: d.token(), Enqueued: instant(d.Enqueued), Deadline: instant(d.Deadline), Meta: d.Meta.values,
		Trace: pipeline.TraceContext{Parent: d.TraceParent, State: d.TraceState},
	}
	if len(d.Body) > 0 {
		it.Input, it.Body = d.Body, pipeline.RawBody(d.Body, pipeline.MediaJSON)
	}
	return it
}

// entry is the item as an operator sees it at that time.
func (d *item) entry(now bson.DateTime) pipeline.Entry {
	e := pipeline.Entry{
		ID: d.ID, Queue: d.Queue, Key: d.Key, Priority: int(d.Priority), Attempts: int(d.Attempts),
		Owner: d.Owner, Body: d.Body, Meta: d.Meta.values, Enqueued: instant(d.Enqueued), NotBefore: instant(d.NotBefore),
		Deadline: instant(d.Deadline), Ended: instant(d.Ended), Result: pipeline.Result(d.Result), Digest: pipeline.Digest(d.Digest),
		Trace: pipeline.TraceContext{Parent: d.TraceParent, State: d.TraceState}, Error: d.Error,
		MaxAttempts: int(d.MaxAttempts), Cancelled: d.Cancelled,
	}
	e.State = shown(d.State)
	if d.Meta.err != nil {
		e.Error = "the item cannot be read: meta: " + d.Meta.err.Error()
	}
	if d.Idem != "" && !d.idemOver(now) {
		e.IdempotencyKey, e.IdempotencyUntil = d.Idem, instant(d.IdemUntil)
		if d.Active != "" {
			e.IdempotencyScope = pipeline.ScopeActive
		}
	}
	if d.State == stateLeased {
		e.LeaseUntil = instant(d.At)
	}
	if d.Claims > 0 {
		e.Token = d.token()
	}
	for _, h := range d.History {
		e.History = append(e.History, pipeline.Event{At: instant(h.At), Attempt: int(h.Attempt), What: h.What,
			Kind: h.Kind, Code: h.Code, Stage: h.Stage, Error: h.Error})
	}
	return e
}

// shown is the state of the protocol.
func shown(state string) pipeline.ItemState {
	if state == stateBehind {
		return pipeline.StateReady
	}
	return pipeline.ItemState(state)
}

// date is a time in the store, 0 for none.
func date(t time.Time) bson.DateTime {
	if t.IsZero() {
		return 0
	}
	return bson.NewDateTimeFromTime(t)
}

// instant is the inverse of date.
func instant(d bson.DateTime) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return d.Time().UTC()
}

// atLeast is a duration in the store's milliseconds, rounded up.
func atLeast(d time.Duration) bson.DateTime {
	return bson.DateTime((d + time.Millisecond - 1) / time.Millisecond)
}
