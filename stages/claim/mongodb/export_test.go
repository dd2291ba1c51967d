package mongodb

import (
	"context"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
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
	client, err := mongo.Connect(options.Client().ApplyURI(at.URI))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background() // also for clean-ups
	defer client.Disconnect(ctx)
	if err := f(ctx, func(name string) *mongo.Collection { return client.Database(at.Name).Collection(at.prefix + name) }); err != nil {
		t.Error(err)
	}
}

// WithPoints makes the driver call point after each of its writes.
func WithPoints(point func(name string)) Option {
	return func(s *mongoconn.Settings) { s.Point = point }
}

// NoReaper leaves a queue without what runs by itself.
func NoReaper(q *Queue) { q.reaping = true }

// Synced sets when the server was asked for its time, and returns when it was.
func Synced(q *Queue, at time.Time) time.Time { return time.Unix(q.synced.Swap(at.Unix()), 0) }

// SetPage makes the pages of Retry and Drop so small.
func SetPage(q *Queue, n int) { q.page = n }

// DropCollections deletes what a test has left on a real server.
func DropCollections(t testing.TB, url string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		for _, name := range []string{"items", "queues", "batches", "records"} {
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

// Migrate brings the queue's documents to the present version.
func Migrate(ctx context.Context, q *Queue) error {
	doc, err := q.read(ctx)
	if err != nil {
		return err
	}
	return q.migrate(ctx, doc)
}

// MakeVersion1 makes the default queue what an earlier release would have left.
func MakeVersion1(t testing.TB, url string) {
	t.Helper()
	SetSchema(t, url, "default", 1)
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		_, err := collection("items").UpdateMany(ctx, bson.M{}, bson.M{"$set": bson.M{"lane": int32(0)}})
		if err == nil {
			_, err = collection("items").Indexes().CreateOne(ctx, mongoconn.Index{Name: obsolete[0], Keys: bson.D{{Key: "lane", Value: int32(1)}}}.Model())
		}
		return err
	})
}

// Lanes returns the lane of each item.
func Lanes(t testing.TB, url string) map[string]int {
	t.Helper()
	lanes := map[string]int{}
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		var items []item
		cursor, err := collection("items").Find(ctx, bson.M{})
		if err == nil {
			err = cursor.All(ctx, &items)
		}
		for _, d := range items {
			lanes[d.ID] = int(d.Lane)
		}
		return err
	})
	return lanes
}

// Indexes returns the names of all indexes.
func Indexes(t testing.TB, url string) (names string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		specs, err := collection("items").Indexes().ListSpecifications(ctx)
		for _, s := range specs {
			names += s.Name + " "
		}
		return err
	})
	return names
}

// DropIndex removes an index.
func DropIndex(t testing.TB, url, name string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		return collection("items").Indexes().DropOne(ctx, name)
	})
}

// Leftovers counts what waits for a reaper: items under way or marked, and
// decisions that are not carried out.
func Leftovers(t testing.TB, url, queue string) (n int) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		for name, filter := range map[string]bson.M{
			"items":   {"queue": queue, "$or": bson.A{bson.M{"batch": bson.M{"$exists": true}}, bson.M{"mark": bson.M{"$exists": true}}}},
			"batches": {"queue": queue, "committed": true},
		} {
			cursor, err := collection(name).Find(ctx, filter)
			if err != nil {
				return err
			}
			var found []bson.Raw
			if err := cursor.All(ctx, &found); err != nil {
				return err
			}
			n += len(found)
		}
		return nil
	})
	return n
}

// SpoilIndex makes all indexes anew, one of them not unique.
func SpoilIndex(t testing.TB, url, name string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		if err := collection("items").Drop(ctx); err != nil {
			return err
		}
		for _, i := range indexes() {
			if i.Name == name {
				i.Unique = false
				_, err := collection("items").Indexes().CreateOne(ctx, i.Model())
				return err
			}
		}
		return nil
	})
}

// Spoil replaces an item's meta by something else.
func Spoil(t testing.TB, url, queue, id string) {
	t.Helper()
	behindTheScenes(t, url, func(ctx context.Context, collection func(string) *mongo.Collection) error {
		_, err := collection("items").UpdateOne(ctx, bson.M{"queue": queue, "id": id}, bson.M{"$set": bson.M{"meta": "odd"}})
		return err
	})
}
