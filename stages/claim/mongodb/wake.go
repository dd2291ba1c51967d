package mongodb

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// rewatch is the first, rewatchMost the longest mean wait before a change stream
// that broke is opened again.
const (
	rewatch     = time.Second
	rewatchMost = time.Minute
)

var errStreamEnded = errors.New("the server has ended it")

// Wakes returns the channel on which this queue says that a claim may find more
// than the last one: after its own writes at once, and after those of others by a
// change stream, which the first call starts. On a server without change streams
// only its own writes wake.
func (q *Queue) Wakes() <-chan struct{} {
	if err := q.begin(&q.watched, q.watch); err != nil {
		q.log.Debug("no change stream", "queue", q.name, "error", err)
	}
	return q.bell.Wakes()
}

// wake says that this process has made an item claimable. It never blocks.
func (q *Queue) wake() { q.bell.Now() }

// mayFind reports whether a claim would find something: one round trip, where a claim
// in vain and the look at what else there is take four.
func (q *Queue) mayFind() bool {
	ctx, cancel := onwards(context.Background())
	defer cancel()
	filter, _ := q.claimable(q.lanes(0, 1), q.now(), false)
	err := q.items.FindOne(ctx, filter, options.FindOne().SetProjection(bson.M{"_id": 1})).Err()
	return !errors.Is(err, mongo.ErrNoDocuments) // another error is the claim's to report
}

// watch follows the change stream until the queue is closed, or the server says
// that it has none. Nothing rests on it: a change that it misses, polling finds.
func (q *Queue) watch(ctx context.Context) {
	for wait := rewatch; ; wait = min(2*wait, rewatchMost) {
		err := q.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if unsupported(err) {
			q.log.Info("the server has no change stream for us; new items of other processes are found by polling", "queue", q.name, "error", q.conn.Hide(err))
			return
		}
		q.log.Warn("the change stream broke; it is opened again", "queue", q.name, "error", q.conn.Hide(err))
		if !pause(ctx, wait/2+rand.N(wait)) {
			return
		}
	}
}

// unsupported reports that the server has no change streams, or none for this
// user.
func unsupported(err error) bool {
	var refused mongo.ServerError
	return errors.As(err, &refused) && slices.ContainsFunc(noStreams[:], refused.HasErrorCode)
}

// noStreams are the codes by which servers refuse change streams: a standalone
// mongod, FerretDB, others that know no such stage, and one that allows none.
var noStreams = [...]int{40573, 238, 40324, 59, 115, mongoconn.CodeUnauthorized}

// follow opens one change stream and wakes with each event.
func (q *Queue) follow(ctx context.Context) error {
	stream, err := q.items.Watch(ctx, q.claimableEvents())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := onwards(ctx)
		defer cancel()
		_ = stream.Close(ctx) // the server forgets it in time
	}()
	q.wake() // for what came before it was open
	for stream.Next(ctx) {
		q.bell.Ring() // all processes hear of it, and one gets the item
	}
	return cmp.Or(stream.Err(), errStreamEnded)
}

// claimableEvents selects, on the server, the changes by which an item of this
// queue becomes ready, and leaves their bodies there.
func (q *Queue) claimableEvents() mongo.Pipeline {
	prefix := url.PathEscape(q.name)
	return mongo.Pipeline{
		{{Key: "$match", Value: bson.M{
			"operationType":   bson.M{"$in": bson.A{"insert", "update"}},
			"documentKey._id": bson.M{"$gte": prefix + "/", "$lt": prefix + "0"}, // "0" follows "/"
			"$or":             bson.A{bson.M{"fullDocument.state": stateReady}, bson.M{"updateDescription.updatedFields.state": stateReady}},
		}}},
		{{Key: "$project", Value: bson.M{"_id": 1}}},
	}
}
