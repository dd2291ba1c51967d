package mongodb

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// Scheme is the URL scheme: "mongodb://host/db".
const Scheme = "mongodb"

// finishWithin bounds what goes on after its caller has gone: a claim that was
// made is read, a turn that was given up is passed on.
const finishWithin = 15 * time.Second

// Option changes a driver, for tests.
type Option func(*settings)

type settings struct {
	clock  func() time.Time
	dialer options.ContextDialer
}

// WithClock replaces the server's clock. All queues of the driver use it.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.clock = now } }

// WithDialer replaces how connections are made.
func WithDialer(d options.ContextDialer) Option { return func(s *settings) { s.dialer = d } }

// Driver returns the driver of the scheme "mongodb". What it opens is a *Queue.
func Driver(opts ...Option) pipeline.QueueDriver {
	var set settings
	for _, o := range opts {
		o(&set)
	}
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "mongodb://HOST/DB, a queue that many machines share",
		Check: func(url string, _ pipeline.QueueOptions) error {
			_, err := parseTarget(url)
			return err
		},
		Open: func(ctx context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
			q, err := open(ctx, url, o, set)
			if err != nil {
				return nil, err
			}
			return q, nil
		},
	}
}

// Queue is one queue of a database. Its methods may be called at the same time.
type Queue struct {
	at      target
	name    string
	opt     pipeline.QueueOptions
	log     *slog.Logger
	client  *mongo.Client
	items   *mongo.Collection
	queues  *mongo.Collection
	batches *mongo.Collection
	clock   serverClock
	fixed   func() time.Time // replaces clock
	page    int              // see pageSize
	lanes   int32
	lane    atomic.Uint32 // the next claim's lane
	picks   atomic.Int64  // claims so far, for ageing
	started sync.Mutex    // guards the start and the end of the reaper
	begun   bool
	stop    chan struct{}
	reaper  sync.WaitGroup
	closing sync.Once
}

var _ pipeline.Queue = (*Queue)(nil)

func open(ctx context.Context, rawURL string, o pipeline.QueueOptions, set settings) (*Queue, error) {
	at, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if o.Format != "" || o.Checkpoint != "" {
		return nil, pipeline.Fail("bad-option", "%s is a queue: format and checkpoint are for one-shot inputs", at.shown)
	}
	q := &Queue{at: at, name: o.Queue, opt: o, log: o.Log, fixed: set.clock, page: pageSize, stop: make(chan struct{})}
	if q.name == "" {
		q.name = "default"
	}
	if q.opt.Lease <= 0 {
		q.opt.Lease = pipeline.DefaultLease
	}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	if err := q.connect(set); err != nil {
		return nil, err
	}
	if err := q.prepare(ctx); err != nil {
		_ = q.Close()
		return nil, q.fail("open", err)
	}
	return q, nil
}

// connect makes the client. What the protocol rests on overrides the URL: the
// primary answers, a majority writes, and a write that a lost connection left
// in doubt is tried again under its number.
func (q *Queue) connect(set settings) error {
	journal := true
	o := options.Client().ApplyURI(q.at.uri).SetRetryWrites(true).SetReadPreference(readpref.Primary()).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal})
	if o.AppName == nil {
		o.SetAppName("waybill")
	}
	if set.dialer != nil {
		o.SetDialer(set.dialer)
	}
	err := o.Validate()
	if err == nil {
		q.client, err = mongo.Connect(o)
	}
	if err != nil && q.at.secret != "" {
		// A parser quotes what it could not read, and that may be a piece of
		// the password.
		err = errors.New("the driver refuses the connection string; its reason is withheld because it may quote the password")
	}
	if err != nil {
		return badURL("%s: %w", q.at.shown, err)
	}
	db := q.client.Database(q.at.db)
	q.items, q.queues, q.batches = db.Collection(q.at.prefix+"items"), db.Collection(q.at.prefix+"queues"), db.Collection(q.at.prefix+"batches")
	return nil
}

// prepare finds or makes the queue and its indexes.
func (q *Queue) prepare(ctx context.Context) error {
	if q.fixed == nil {
		if err := q.clock.sync(ctx, q.items.Database()); err != nil {
			return err
		}
	}
	if q.opt.Create {
		fresh := bson.M{"schema": int32(schemaVersion), "lanes": q.at.lanes, "seq": int64(0), "floor": int64(0)}
		_, err := q.queues.UpdateOne(ctx, q.self(), bson.M{"$setOnInsert": fresh}, options.UpdateOne().SetUpsert(true))
		if err != nil && !mongo.IsDuplicateKeyError(err) { // somebody else made it
			return err
		}
	}
	var doc queueDoc
	err := q.queues.FindOne(ctx, q.self()).Decode(&doc)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return q.absent(ctx)
	case err != nil:
		return err
	case doc.Schema > schemaVersion:
		return pipeline.Fail("newer-queue", "%s: queue %q has schema version %d, this program knows up to %d", q.at.shown, q.name, doc.Schema, schemaVersion).
			WithHint("use the release of waybill that made it, or a newer one")
	}
	q.lanes = max(doc.Lanes, 1)
	q.lane.Store(rand.Uint32())
	return q.ensureIndexes(ctx)
}

// absent is the error for a queue that is not there.
func (q *Queue) absent(ctx context.Context) error {
	known, err := q.Queues(ctx)
	if err != nil {
		return err
	}
	return pipeline.Fail("no-queue", "%s: queue %q: %w: the database has the queues [%s]", q.at.shown, q.name, pipeline.ErrNoQueue, strings.Join(known, ", ")).
		WithHint("waybill enqueue --to %s --queue %s items.jsonl makes it", q.at.shown, q.name)
}

// self selects the queue's own document.
func (q *Queue) self() bson.M { return bson.M{"_id": q.name} }

// mine adds to a filter that only this queue is meant.
func (q *Queue) mine(filter bson.M) bson.M {
	filter["queue"] = q.name
	return filter
}

// docID is an item's _id. The queue's name is escaped, so that no other pair has
// the same.
func (q *Queue) docID(id string) string { return url.PathEscape(q.name) + "/" + id }

// laneOf keeps the items of a key together and spreads all others.
func (q *Queue) laneOf(key string) int32 {
	if key == "" {
		return rand.Int32N(q.lanes)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int32(h.Sum32() % uint32(q.lanes))
}

// now is the store's time.
func (q *Queue) now() bson.DateTime {
	if q.fixed != nil {
		return bson.NewDateTimeFromTime(q.fixed())
	}
	return bson.NewDateTimeFromTime(q.clock.now())
}

// onwards is a context for what must not stop with the caller.
func onwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
}

// confirmed reads only what no failover can undo.
func (q *Queue) confirmed() *mongo.Collection {
	return q.items.Clone(options.Collection().SetReadConcern(readconcern.Majority()))
}

// Lease returns how long a claim lasts without renewal.
func (q *Queue) Lease() time.Duration { return q.opt.Lease }

// Close ends the reaper and the connections.
func (q *Queue) Close() error {
	var err error
	q.closing.Do(func() {
		q.started.Lock() // no reaper starts from here on
		close(q.stop)
		q.started.Unlock()
		q.reaper.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
		defer cancel()
		if err = q.client.Disconnect(ctx); err != nil {
			err = fmt.Errorf("%s: close: %w", q.at.shown, q.at.hide(err))
		}
	})
	return err
}
