package mongodb

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/bell"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Scheme is the URL scheme: "mongodb://host/db".
const Scheme = mongoconn.Scheme

// finishWithin bounds what goes on after its caller has gone: a claim that was
// made is read, a turn that was given up is passed on.
const finishWithin = 15 * time.Second

// Option changes a driver, for tests.
type Option func(*mongoconn.Settings)

// WithClock replaces the server's clock. All queues of the driver use it.
func WithClock(now func() time.Time) Option { return func(s *mongoconn.Settings) { s.Now = now } }

// WithDialer replaces how connections are made.
func WithDialer(d options.ContextDialer) Option { return func(s *mongoconn.Settings) { s.Dialer = d } }

// Driver returns the driver of the scheme "mongodb". What it opens is a *Queue.
func Driver(opts ...Option) pipeline.QueueDriver {
	var set mongoconn.Settings
	for _, o := range opts {
		o(&set)
	}
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Takes:  []string{"lanes"},
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
	*store
	name   string
	opt    pipeline.QueueOptions
	page   int           // see pageSize
	turns  atomic.Uint32 // claims so far, for the spread over lanes
	picks  atomic.Int64  // items claimed so far, for ageing
	synced atomic.Int64  // when the server was asked for its time, in seconds since 1970
	bell   *bell.Bell    // see Wakes

	started sync.Mutex // guards the start and the end of what runs by itself
	reaping bool
	watched bool
	stop    chan struct{}
	running sync.WaitGroup
	closing sync.Once
}

var _ interface {
	pipeline.Queue
	pipeline.QueueTools
	pipeline.Records
	pipeline.Waker
} = (*Queue)(nil)

func open(ctx context.Context, rawURL string, o pipeline.QueueOptions, set mongoconn.Settings) (*Queue, error) {
	at, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if o, err = o.ForQueue(at.Shown); err != nil {
		return nil, err
	}
	s, err := newStore(at, o.Dir, o.Log, set)
	if err != nil {
		return nil, err
	}
	q := newQueue(s, o.Queue, o)
	if err := q.prepare(ctx); err != nil {
		_ = q.Close()
		return nil, q.fail("open", err)
	}
	return q, nil
}

func newQueue(s *store, name string, o pipeline.QueueOptions) *Queue {
	q := &Queue{store: s, name: name, opt: o, page: pageSize, stop: make(chan struct{})}
	q.bell = bell.New(q.mayFind)
	q.turns.Store(rand.Uint32())
	q.synced.Store(time.Now().Unix()) // opening it asks
	return q
}

// sibling is another queue of the database over the same connection. It claims
// nothing and is not closed.
func (q *Queue) sibling(name string) *Queue {
	s := newQueue(q.store, name, q.opt)
	s.page = q.page
	return s
}

// prepare finds or makes the queue and its indexes.
func (q *Queue) prepare(ctx context.Context) error {
	if err := q.conn.Reach(ctx); err != nil {
		return err
	}
	if q.opt.Create {
		if err := q.create(ctx); err != nil {
			return err
		}
	}
	doc, err := q.read(ctx)
	if err != nil {
		return err
	}
	if err := q.conn.EnsureIndexes(ctx, q.items, indexes(), indexHint); err != nil {
		return err
	}
	return q.migrate(ctx, doc)
}

// create makes the queue's document, if there is none.
func (q *Queue) create(ctx context.Context) error {
	fresh := bson.M{"schema": int32(schemaVersion), "seq": int64(0), "floor": int64(0)}
	_, err := q.queues.UpdateOne(ctx, q.self(), bson.M{"$setOnInsert": fresh}, options.UpdateOne().SetUpsert(true))
	if mongo.IsDuplicateKeyError(err) { // somebody else made it
		return nil
	}
	return err
}

// read reads the queue's document. Each claim does, so that a pause holds from
// the moment at which it is written, and that a process of an older release
// claims no more once a newer one has changed the documents.
func (q *Queue) read(ctx context.Context) (queueDoc, error) {
	var doc queueDoc
	err := q.queues.FindOne(ctx, q.self()).Decode(&doc)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return doc, q.absent(ctx)
	case err != nil:
		return doc, err
	case doc.Schema > schemaVersion:
		return doc, pipeline.Fail("newer-queue", "%s: queue %q has schema version %d, this program knows up to %d", q.conn.Shown, q.name, doc.Schema, schemaVersion).
			WithHint("use the release of waybill that made it, or a newer one")
	}
	return doc, nil
}

// absent is the error for a queue that is not there.
func (q *Queue) absent(ctx context.Context) error {
	known, err := q.Queues(ctx)
	if err != nil {
		return err
	}
	return pipeline.Fail("no-queue", "%s: queue %q: %w: the database has the queues [%s]", q.conn.Shown, q.name, pipeline.ErrNoQueue, strings.Join(known, ", ")).
		WithHint("waybill enqueue --to %s --queue %s items.jsonl makes it", q.conn.Shown, q.name)
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

// onwards is a context for what must not stop with the caller.
func onwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
}

// Lease returns how long a claim lasts without renewal.
func (q *Queue) Lease() time.Duration { return q.opt.Lease }

// Close ends the reaper, the change stream and the connections.
func (q *Queue) Close() error {
	var err error
	q.closing.Do(func() {
		q.started.Lock() // nothing starts from here on
		close(q.stop)
		q.bell.Close()
		q.started.Unlock()
		q.running.Wait()
		err = q.conn.Close()
	})
	return err
}

// begin starts something that runs until Close, unless it runs already.
func (q *Queue) begin(begun *bool, run func(context.Context)) error {
	q.started.Lock()
	defer q.started.Unlock()
	select {
	case <-q.stop:
		return mongoconn.ErrClosed
	default:
	}
	if *begun {
		return nil
	}
	*begun = true
	ctx, cancel := context.WithCancel(context.Background())
	q.running.Go(func() {
		<-q.stop
		cancel()
	})
	q.running.Go(func() { run(ctx) })
	return nil
}

// pause waits, and reports false if the wait was ended by ctx.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
