package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// schemaVersion is written into each queue's document.
const schemaVersion = 1

// queueDoc is a document of the queues collection.
type queueDoc struct {
	Name   string `bson:"_id"`
	Schema int32  `bson:"schema"`
	Lanes  int32  `bson:"lanes"`
	Seq    int64  `bson:"seq"`   // the last sequence given out
	Floor  int64  `bson:"floor"` // the most claims of a dropped item
}

// index is an index of the items collection.
type index struct {
	name   string
	keys   bson.D
	unique bool
	// only: the index has the documents in which this field is there.
	only string
}

// Each index begins with the queue, so that a cluster sharded by it asks one
// shard.
func indexes() []index {
	const up, down = int32(1), int32(-1)
	on := func(keys ...bson.E) bson.D { return append(bson.D{{Key: "queue", Value: up}}, keys...) }
	asc := func(name string) bson.E { return bson.E{Key: name, Value: up} }
	return []index{
		{name: "waybill_claim", keys: on(asc("lane"), asc("state"), bson.E{Key: "priority", Value: down}, asc("seq"), asc("at"))},
		{name: "waybill_due", keys: on(asc("state"), asc("at"))},
		{name: "waybill_seq", keys: on(asc("seq"))},
		{name: "waybill_live", keys: on(asc("live")), only: "live"},
		{name: "waybill_token", keys: on(asc("claim")), only: "claim"},
		{name: "waybill_key", keys: on(asc("key"), asc("seq"), asc("state")), only: "key"},
		{name: "waybill_turn", keys: on(asc("turn")), only: "turn", unique: true},
		{name: "waybill_idem", keys: on(asc("idem")), only: "idem", unique: true},
		{name: "waybill_mark", keys: on(asc("mark")), only: "mark"},
		{name: "waybill_batch", keys: on(asc("batch")), only: "batch"},
	}
}

func (i index) model() mongo.IndexModel {
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true)
	}
	if i.only != "" {
		o.SetPartialFilterExpression(bson.D{{Key: i.only, Value: bson.D{{Key: "$exists", Value: true}}}})
	}
	return mongo.IndexModel{Keys: i.keys, Options: o}
}

// ensureIndexes creates what is missing, and then looks: two of the indexes
// carry correctness, and a claim without its own reads the whole collection.
func (q *Queue) ensureIndexes(ctx context.Context) error {
	wrong, err := q.wrongIndexes(ctx)
	if err != nil || len(wrong) == 0 {
		return err
	}
	var models []mongo.IndexModel
	for _, i := range indexes() {
		if slices.Contains(wrong, i.name) {
			models = append(models, i.model())
		}
	}
	_, created := q.items.Indexes().CreateMany(ctx, models)
	if wrong, err = q.wrongIndexes(ctx); err != nil {
		return errors.Join(created, err)
	}
	if len(wrong) == 0 {
		return nil
	}
	if created == nil {
		created = errors.New("the server made them otherwise")
	}
	return pipeline.Fail("bad-indexes", "%s: collection %s: the indexes %v are missing or different: %w", q.at.shown, q.items.Name(), wrong, created).
		WithHint("docs/queues.md lists them; drop those of the same name, or give the user the right to create indexes")
}

// wrongIndexes names those that are missing or not as they must be.
func (q *Queue) wrongIndexes(ctx context.Context) ([]string, error) {
	there, err := q.items.Indexes().List(ctx)
	var have []struct {
		Name    string `bson:"name"`
		Key     bson.D `bson:"key"`
		Unique  bool   `bson:"unique"`
		Partial bson.D `bson:"partialFilterExpression"`
	}
	if err == nil {
		err = there.All(ctx, &have)
	}
	var command mongo.CommandError
	if err != nil && !(errors.As(err, &command) && command.HasErrorCode(codeNamespaceNotFound)) {
		return nil, err
	}
	var wrong []string
	for _, want := range indexes() {
		ok := false
		for _, h := range have {
			partial := len(h.Partial) == 1 && h.Partial[0].Key == want.only || len(h.Partial) == 0 && want.only == ""
			ok = ok || h.Name == want.name && sameKeys(h.Key, want.keys) && h.Unique == want.unique && partial
		}
		if !ok {
			wrong = append(wrong, want.name)
		}
	}
	return wrong, nil
}

// sameKeys compares without regard to the type of the numbers, which servers
// change.
func sameKeys(a, b bson.D) bool {
	return slices.EqualFunc(a, b, func(x, y bson.E) bool { return x.Key == y.Key && fmt.Sprint(x.Value) == fmt.Sprint(y.Value) })
}
