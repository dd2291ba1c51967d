package mongodb

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// behindTheScenes gives a test the collections of a URL.
func behindTheScenes(t testing.TB, url string, f func(ctx context.Context, collection func(string) *mongo.Collection) error) {
	t.Helper()
	at, err := parseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(at.uri))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background() // also for clean-ups
	defer client.Disconnect(ctx)
	if err := f(ctx, func(name string) *mongo.Collection { return client.Database(at.db).Collection(at.prefix + name) }); err != nil {
		t.Error(err)
	}
}

// SetPage makes the pages of Retry and Drop so small.
func SetPage(q *Queue, n int) { q.page = n }

// DropCollections deletes what a test has left on a real server.
func DropCollections(t testing.TB, url string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		for _, name := range []string{"items", "queues", "batches"} {
			if err := collection(name).Drop(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetSchema makes a queue of another version.
func SetSchema(t testing.TB, url, queue string, version int) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		_, err := collection("queues").UpdateOne(ctx, bson.M{"_id": queue}, bson.M{"$set": bson.M{"schema": int32(version)}})
		return err
	})
}

// UndoClaim makes an item as it was before its only claim.
func UndoClaim(t testing.TB, url, id string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		before := bson.M{"state": stateReady, "claims": int64(0), "salt": int64(0), "attempts": int32(0), "at": bson.DateTime(0)}
		_, err := collection("items").UpdateOne(ctx, bson.M{"_id": id}, bson.M{"$set": before, "$unset": bson.M{"claim": ""}})
		return err
	})
}

// SpoilIndex makes all indexes anew, one of them not unique.
func SpoilIndex(t testing.TB, url, name string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		if err := collection("items").Drop(ctx); err != nil {
			return err
		}
		for _, i := range indexes() {
			if i.name == name {
				i.unique = false
				_, err := collection("items").Indexes().CreateOne(ctx, i.model())
				return err
			}
		}
		return nil
	})
}

// CountLanes returns how many lanes have items.
func CountLanes(t testing.TB, url string) (n int) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		var items []item
		cursor, err := collection("items").Find(ctx, bson.M{})
		if err == nil {
			err = cursor.All(ctx, &items)
		}
		lanes := map[int32]bool{}
		for _, i := range items {
			lanes[i.Lane] = true
		}
		n = len(lanes)
		return err
	})
	return n
}
