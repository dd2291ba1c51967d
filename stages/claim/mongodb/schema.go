package mongodb

import (
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// schemaVersion is written into each queue's document; migrate.go has the steps.
const schemaVersion = 2

// queueDoc is a document of the queues collection.
type queueDoc struct {
	Name   string `bson:"_id"`
	Schema int32  `bson:"schema"`
	Seq    int64  `bson:"seq"`   // the last sequence given out
	Floor  int64  `bson:"floor"` // the most claims of a dropped item
	Paused bool   `bson:"paused,omitempty"`
}

// indexHint is what to do when the indexes are not as they must be: two of them
// carry correctness, and a claim without its own reads the whole collection.
const indexHint = "docs/queues.md lists them; drop those of the same name, or give the user the right to create indexes"

// Each index begins with the queue, so that a cluster sharded by it asks one
// shard. Those for claims have the ready items Only: they stay small, and a claim
// only removes from them.
func indexes() []mongoconn.Index {
	const up, down = int32(1), int32(-1)
	on := func(keys ...bson.E) bson.D { return append(bson.D{{Key: "queue", Value: up}}, keys...) }
	asc := func(name string) bson.E { return bson.E{Key: name, Value: up} }
	first := bson.E{Key: "priority", Value: down}
	ready := bson.D{{Key: "state", Value: stateReady}}
	with := func(name string) bson.D {
		return bson.D{{Key: name, Value: bson.D{{Key: "$exists", Value: true}}}}
	}
	return []mongoconn.Index{
		{Name: "waybill_order", Keys: on(first, asc("seq"), asc("at")), Only: ready},
		{Name: "waybill_lane", Keys: on(asc("lane"), first, asc("seq"), asc("at")), Only: ready},
		{Name: "waybill_age", Keys: on(asc("lane"), asc("seq"), asc("at")), Only: ready},
		{Name: "waybill_time", Keys: on(asc("state"), asc("at"), asc("enqueued"))},
		{Name: "waybill_seq", Keys: on(asc("seq"))},
		{Name: "waybill_live", Keys: on(asc("live")), Only: with("live")},
		{Name: "waybill_token", Keys: on(asc("claim")), Only: with("claim")},
		{Name: "waybill_key", Keys: on(asc("key"), asc("seq"), asc("state")), Only: with("key")},
		{Name: "waybill_head", Keys: on(asc("key"), asc("live"), asc("seq")), Only: with("live")},
		{Name: "waybill_turn", Keys: on(asc("turn")), Only: with("turn"), Unique: true},
		{Name: "waybill_idem", Keys: on(asc("idem")), Only: with("idem"), Unique: true},
		{Name: "waybill_mark", Keys: on(asc("mark")), Only: with("mark")},
		{Name: "waybill_batch", Keys: on(asc("batch")), Only: with("batch")},
	}
}
