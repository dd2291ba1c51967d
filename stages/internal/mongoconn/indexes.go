package mongoconn

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

// Index is an index as it must be.
type Index struct {
	Name   string `bson:"name"`
	Keys   bson.D `bson:"key"`
	Unique bool   `bson:"unique"`
	// Only: the index has the documents in which this holds.
	Only bson.D `bson:"partialFilterExpression"`
}

// Model is the index as the driver creates it.
func (i Index) Model() mongo.IndexModel {
	o := options.Index().SetName(i.Name)
	if i.Unique {
		o.SetUnique(true)
	}
	if i.Only != nil {
		o.SetPartialFilterExpression(i.Only)
	}
	return mongo.IndexModel{Keys: i.Keys, Options: o}
}

// EnsureIndexes creates what is missing, and then looks. If an index is still
// missing or different, the error has the code bad-indexes and this hint.
func (c *Conn) EnsureIndexes(ctx context.Context, on *mongo.Collection, want []Index, hint string) error {
	wrong, err := wrongIndexes(ctx, on, want)
	if err != nil || len(wrong) == 0 {
		return err
	}
	var models []mongo.IndexModel
	for _, i := range want {
		if slices.Contains(wrong, i.Name) {
			models = append(models, i.Model())
		}
	}
	_, created := on.Indexes().CreateMany(ctx, models)
	if wrong, err = wrongIndexes(ctx, on, want); err != nil {
		return errors.Join(created, err)
	}
	if len(wrong) == 0 {
		return nil
	}
	if created == nil {
		created = errors.New("the server made them otherwise")
	}
	return pipeline.Fail("bad-indexes", "%s: collection %s: the indexes %v are missing or different: %w", c.Shown, on.Name(), wrong, c.Hide(created)).WithHint("%s", hint)
}

// wrongIndexes names those that are missing or not as they must be.
func wrongIndexes(ctx context.Context, on *mongo.Collection, wanted []Index) ([]string, error) {
	have, err := listIndexes(ctx, on)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, want := range wanted {
		ok := false
		for _, h := range have {
			ok = ok || h.Name == want.Name && same(h.Keys, want.Keys) && h.Unique == want.Unique && same(h.Only, want.Only)
		}
		if !ok {
			wrong = append(wrong, want.Name)
		}
	}
	return wrong, nil
}

// Exists reports whether the database has the collection: an existing one has an
// index at least.
func Exists(ctx context.Context, c *mongo.Collection) (bool, error) {
	have, err := listIndexes(ctx, c)
	return len(have) > 0, err
}

// listIndexes returns none for a collection that is not there.
func listIndexes(ctx context.Context, on *mongo.Collection) (have []Index, err error) {
	there, err := on.Indexes().List(ctx)
	if err == nil {
		err = there.All(ctx, &have)
	}
	if HasCode(err, CodeNamespaceNotFound) {
		return nil, nil
	}
	return have, err
}

// same compares without regard to the type of the numbers, which servers change,
// and to how they write an equality.
func same(a, b bson.D) bool {
	return slices.EqualFunc(a, b, func(x, y bson.E) bool {
		if d, ok := x.Value.(bson.D); ok && len(d) == 1 && d[0].Key == "$eq" {
			x.Value = d[0].Value
		}
		return x.Key == y.Key && fmt.Sprint(x.Value) == fmt.Sprint(y.Value)
	})
}
