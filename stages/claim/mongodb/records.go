package mongodb

import (
	"context"
	"errors"
	"math"
	"regexp"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// maxRecord bounds a record's value, in bytes.
	maxRecord = 64 << 10
	// keepEnded is how long the revision of an ended record is remembered. One
	// that is made anew after that begins with the time, which is greater.
	keepEnded = time.Hour
	// forever is the end of records that have none.
	forever = bson.DateTime(math.MaxInt64)
)

// recordDoc is a document of the records collection.
type recordDoc struct {
	Name  string        `bson:"_id"`
	Rev   int64         `bson:"rev"`
	Until bson.DateTime `bson:"until"`
	Value []byte        `bson:"value,omitempty"`
}

var recordName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

// Records returns the live records whose name begins with prefix.
func (q *Queue) Records(ctx context.Context, prefix string) ([]pipeline.Record, time.Time, error) {
	now := q.now()
	filter := bson.M{"_id": bson.M{"$gte": prefix, "$lt": prefix + "\x7f"}, "until": bson.M{"$gt": now}}
	cursor, err := q.records.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	var docs []recordDoc
	if err == nil {
		err = cursor.All(ctx, &docs)
	}
	out := make([]pipeline.Record, len(docs))
	for i, d := range docs {
		out[i] = pipeline.Record{Name: d.Name, Value: d.Value, Revision: d.Rev}
		if d.Until != forever {
			out[i].Until = instant(d.Until)
		}
	}
	return out, instant(now), q.fail("records", err)
}

// WriteRecord stores a value under the condition that the record's revision is
// rev. It is one write, or for a name that was used before three.
func (q *Queue) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if !recordName.MatchString(name) || len(value) > maxRecord {
		return 0, pipeline.Fail("bad-record", "record %q of %d bytes: names have letters, digits, \".\", \"_\", \"-\" between slashes, values at most %d bytes", name, len(value), maxRecord)
	}
	now := q.now()
	d := recordDoc{Name: name, Until: forever, Value: value}
	if ttl > 0 {
		d.Until = now + atLeast(ttl)
	}
	var err error
	if rev == 0 {
		err = q.makeRecord(ctx, &d, now)
	} else {
		d.Rev = rev + 1
		err = q.replaceRecord(ctx, &d, rev, bson.M{"$gt": now})
	}
	if err != nil {
		return 0, q.fail("write record", err)
	}
	return d.Rev, nil
}

// replaceRecord writes over the revision rev, if it ends at such a time.
func (q *Queue) replaceRecord(ctx context.Context, d *recordDoc, rev int64, until bson.M) error {
	r, err := q.records.UpdateOne(ctx, bson.M{"_id": d.Name, "rev": rev, "until": until},
		bson.M{"$set": bson.M{"rev": d.Rev, "until": d.Until, "value": d.Value}})
	if err == nil && r.MatchedCount == 0 {
		return pipeline.ErrConflict
	}
	return err
}

// makeRecord adds a record that is absent or has ended.
func (q *Queue) makeRecord(ctx context.Context, d *recordDoc, now bson.DateTime) error {
	for range maxRounds {
		d.Rev = int64(now) * 1000 // as if it had been written every microsecond
		_, err := q.records.InsertOne(ctx, d)
		if err == nil || !mongo.IsDuplicateKeyError(err) {
			return err
		}
		var ended recordDoc
		err = q.records.FindOne(ctx, bson.M{"_id": d.Name}).Decode(&ended)
		switch {
		case errors.Is(err, mongo.ErrNoDocuments):
			continue // swept meanwhile
		case err != nil:
			return err
		case ended.Until > now:
			return pipeline.ErrConflict
		}
		d.Rev = max(d.Rev, ended.Rev+1)
		return q.replaceRecord(ctx, d, ended.Rev, bson.M{"$lte": now})
	}
	return pipeline.ErrConflict
}

// DeleteRecord ends a record. Its revision stays for a while, so that one of the
// same name goes on from it. Its end lies well in the past, so that a reader whose
// reading of the clock is a moment older does not take it for one without a value.
func (q *Queue) DeleteRecord(ctx context.Context, name string, rev int64) error {
	now := q.now()
	if rev == 0 {
		err := q.records.FindOne(ctx, bson.M{"_id": name, "until": bson.M{"$gt": now}}).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err == nil {
			err = pipeline.ErrConflict
		}
		return q.fail("delete record", err)
	}
	return q.fail("delete record", q.replaceRecord(ctx, &recordDoc{Name: name, Rev: rev + 1, Until: q.ago(keepEnded / 2)}, rev, bson.M{"$gt": now}))
}

// sweepRecords deletes what ended long ago.
func (q *Queue) sweepRecords(ctx context.Context) error {
	_, err := q.records.DeleteMany(ctx, bson.M{"until": bson.M{"$lte": q.ago(keepEnded)}})
	return err
}
