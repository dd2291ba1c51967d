package mongodb

import (
	"maps"
	"slices"
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

// visible are the states that callers can see.
var visible = [...]string{stateBehind, stateReady, stateLeased, stateDone, stateDead}

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
	Turn        string        `bson:"turn,omitempty"`  // the key, if this item has its turn
	Mark        string        `bson:"mark,omitempty"`  // the key's turn is to be settled
	Batch       string        `bson:"batch,omitempty"` // of staged ones
	Idem        string        `bson:"idem,omitempty"`
	Seq         int64         `bson:"seq"`
	Priority    int32         `bson:"priority"`
	At          bson.DateTime `bson:"at"` // ready: claimable from then on; leased: the lease's end
	NotBefore   bson.DateTime `bson:"notBefore,omitempty"`
	Deadline    bson.DateTime `bson:"deadline,omitempty"`
	MaxAttempts int32         `bson:"maxAttempts"`
	Attempts    int32         `bson:"attempts"`
	Expired     bool          `bson:"expired"`
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
	Meta        []pair        `bson:"meta,omitempty"`
	Body        []byte        `bson:"body,omitempty"`
	History     []event       `bson:"history,omitempty"`
}

// pair is an entry of an item's meta. Its names may hold dots and dollars, which
// not every server takes as names of fields.
type pair struct {
	Name  string `bson:"name"`
	Value string `bson:"value"`
}

func pairs(meta map[string]string) []pair {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		out = append(out, pair{name, meta[name]})
	}
	return out
}

func (d *item) meta() map[string]string {
	if len(d.Meta) == 0 {
		return nil
	}
	out := make(map[string]string, len(d.Meta))
	for _, p := range d.Meta {
		out[p.Name] = p.Value
	}
	return out
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

// saltBits is how much of a fencing token is random; the rest counts claims.
const saltBits = 20

// token is the fencing token of an item's latest claim. It grows because claims
// does; the salt makes it differ from that of a claim that a failover undid.
func (d *item) token() int64 { return d.Claims<<saltBits | d.Salt }

// onLease is the condition of every write of a worker: item, token, leased.
func (q *Queue) onLease(it *pipeline.Item) bson.M {
	f := q.tokened(it)
	f["state"] = stateLeased
	return f
}

func (q *Queue) tokened(it *pipeline.Item) bson.M {
	return bson.M{"_id": q.docID(it.ID), "queue": q.name, "claims": it.Token >> saltBits, "salt": it.Token & (1<<saltBits - 1)}
}

// claimed is the item as a worker gets it.
func (d *item) claimed() *pipeline.Item {
	it := &pipeline.Item{
		ID: d.ID, Key: d.Key, Queue: d.Queue, Priority: int(d.Priority), Attempt: int(d.Attempts), MaxAttempts: int(d.MaxAttempts),
		Token: d.token(), Enqueued: instant(d.Enqueued), Deadline: instant(d.Deadline), Meta: d.meta(),
		Trace: pipeline.TraceContext{Parent: d.TraceParent, State: d.TraceState},
	}
	if len(d.Body) > 0 {
		it.Input, it.Body = d.Body, pipeline.RawBody(d.Body, pipeline.MediaJSON)
	}
	return it
}

// entry is the item as an operator sees it.
func (d *item) entry() pipeline.Entry {
	e := pipeline.Entry{
		ID: d.ID, Queue: d.Queue, State: pipeline.ItemState(d.State), Key: d.Key, Priority: int(d.Priority), Attempts: int(d.Attempts),
		Owner: d.Owner, Body: d.Body, Meta: d.meta(), Enqueued: instant(d.Enqueued), NotBefore: instant(d.NotBefore),
		Deadline: instant(d.Deadline), Ended: instant(d.Ended), Result: pipeline.Result(d.Result), Digest: pipeline.Digest(d.Digest),
		Trace: pipeline.TraceContext{Parent: d.TraceParent, State: d.TraceState}, Error: d.Error,
	}
	if d.State == stateBehind {
		e.State = pipeline.StateReady
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
