package nats

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/bell"
)

// Scheme is the URL scheme: "nats://host:4222", "nats:embedded?dir=var/nats".
const Scheme = "nats"

// Option changes a driver, for tests.
type Option func(*settings)

type settings struct {
	clock func() time.Time
	point func(name string) // called after each write, in tests
	peers time.Duration     // startWithin, for those
	ping  time.Duration     // ping, between two of them
}

// WithClock replaces the server's clock. All queues of the driver use it.
func WithClock(now func() time.Time) Option {
	return func(s *settings) { s.clock = now }
}

// Driver returns the driver of the scheme "nats". What it opens is a *Queue. A
// driver has at most one embedded server of a folder; queues share it.
func Driver(opts ...Option) pipeline.QueueDriver {
	set := settings{peers: startWithin, ping: ping}
	for _, o := range opts {
		o(&set)
	}
	servers := &servers{running: map[string]*embedded{}}
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "nats://HOST:4222, a queue on NATS JetStream; nats:embedded?dir=DIR, in this process",
		Takes:  []string{"lanes"},
		Check: func(url string, o pipeline.QueueOptions) error {
			_, err := parseAddress(url, o.Dir)
			return err
		},
		Open: func(ctx context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
			to, err := parseAddress(url, o.Dir)
			if err != nil {
				return nil, err
			}
			q, err := door{to, set, servers}.open(ctx, o)
			if err != nil {
				return nil, err
			}
			return q, nil
		},
	}
}

// Queue is one queue on a server: a stream. Its methods may be called at the
// same time.
type Queue struct {
	url     string // without secrets
	names   names
	opt     pipeline.QueueOptions
	log     *slog.Logger
	clock   clock
	replica *replica
	book    *book

	door     door
	leave    func() // gives the embedded server back
	conn     *natsgo.Conn
	link     link
	js       jetstream.JetStream
	stream   jetstream.Stream
	replicas int // of the stream, or of the one that is to be made
	tail     *tail

	life    context.Context // ends when the queue is closed
	die     context.CancelFunc
	started sync.Once
	reaper  sync.WaitGroup
	closing sync.Mutex

	conflicts atomic.Int64 // claims that others were faster with
}

var _ interface {
	pipeline.Queue
	pipeline.QueueTools
	pipeline.Records
	pipeline.Waker
} = (*Queue)(nil)

// door is how a queue was opened, and how another one of the same server is.
type door struct {
	to      address
	set     settings
	servers *servers
}

func (d door) open(ctx context.Context, o pipeline.QueueOptions) (*Queue, error) {
	return d.openLike(ctx, o, d.to.replicas)
}

// openLike opens a queue; one that it makes has so many replicas.
func (d door) openLike(ctx context.Context, o pipeline.QueueOptions, replicas int) (*Queue, error) {
	to := d.to
	o, err := o.ForQueue(to.shown)
	if err != nil {
		return nil, err
	}
	n := names{o.Queue}
	q := &Queue{url: to.shown, names: n, opt: o, log: o.Log, replica: newReplica(n), book: newBook(d.set.clock),
		door: d, leave: func() {}, replicas: replicas}
	q.tail = q.newTail(n.stream(), n.all(), q.see, natsgo.HeadersOnly())
	q.replica.read = &q.tail.read
	q.replica.turns.bell = bell.New(q.mayFind)
	q.life, q.die = context.WithCancel(context.Background())
	q.clock.fixed = d.set.clock
	if err := q.connect(ctx, to, d.servers); err != nil {
		err = q.fail("open", err) // before the queue is closed, which would be the reason
		_ = q.Close()
		return nil, err
	}
	return q, nil
}

// connect reaches the server, finds or makes the stream and reads it to its end.
func (q *Queue) connect(ctx context.Context, to address, servers *servers) (err error) {
	opts := append(slices.Clip(to.options), natsgo.Name("waybill "+q.opt.Owner), natsgo.MaxReconnects(-1), natsgo.ReconnectWait(100*time.Millisecond),
		natsgo.DisconnectErrHandler(func(*natsgo.Conn, error) { q.link.broke() }),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
			q.log.Debug("the connection was interrupted; it is made anew by itself", "server", q.url, "error", err)
		}))
	if to.embedded != "" {
		e, err := servers.join(to.embedded, q.opt.Create)
		if err != nil {
			return q.explain(err)
		}
		q.leave = sync.OnceFunc(func() { servers.leave(e) })
		opts = append(opts, natsgo.InProcessServer(e.server))
	} else {
		opts = append(opts, overNetwork(q.door.set.ping)...)
	}
	if q.conn, err = natsgo.Connect(to.servers, opts...); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", errCredentials, err)
	}
	if err != nil {
		return err
	}
	if q.js, err = jetstream.New(q.conn, jetstream.WithPublishAsyncTimeout(attemptOfMany)); err != nil {
		return err
	}
	if err := checkVersion(q.conn.ConnectedServerVersion()); err != nil {
		return err
	}
	if err := q.checkJetStream(ctx); err != nil {
		return err
	}
	if err := q.findStream(ctx, to.replicas); err != nil {
		return err
	}
	if q.conn.MaxPayload() < minPayload {
		q.log.Warn("the server's max_payload is too small for the largest items; they are refused", "server", q.url,
			"max_payload", q.conn.MaxPayload(), "needed", minPayload)
	}
	if err := q.tail.follow(); err != nil {
		return err
	}
	return q.barrier(ctx)
}

// checkVersion refuses servers that were never tested. An old one would not even
// say so: it ignores a condition that it does not know, and stores the message.
func checkVersion(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < 12 {
		return pipeline.Fail("old-server", "the server is nats-server %q, 2.12 or later is needed", version).
			WithHint("every node of the cluster must be; an older one ignores the conditions that keys rest on")
	}
	return nil
}

// checkJetStream finds out whether the server has JetStream at all. A cluster that
// just starts may not know yet: it has no leader before its first election.
func (q *Queue) checkJetStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return q.insist(ctx, func(ctx context.Context) error {
		_, err := q.js.AccountInfo(ctx)
		return err
	})
}

// minPayload is what the server must accept for every item that the protocol
// allows: body, meta data as JSON in the worst case, and the record.
const minPayload = 2 << 20

func (q *Queue) findStream(ctx context.Context, replicas int) error {
	config := q.streamConfig(max(q.replicas, 1))
	var err error
	if q.opt.Create {
		q.stream, err = q.make(ctx, config)
	} else {
		err = q.insist(ctx, func(ctx context.Context) (err error) {
			q.stream, err = q.js.Stream(ctx, config.Name)
			return err
		})
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		known, err := q.Queues(ctx)
		if err != nil {
			return err
		}
		return q.absent(fmt.Errorf("the server has the queues [%s]", strings.Join(known, ", ")))
	}
	if err != nil {
		return err
	}
	have := q.stream.CachedInfo().Config
	q.replicas = have.Replicas
	return q.checkStream(have, replicas)
}

// The stream keeps the last message of each subject, for ever, on disk.
func (q *Queue) streamConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: q.names.stream(), Description: "Waybill queue " + q.names.queue, Metadata: map[string]string{queueMetadata: q.names.queue},
		Subjects: []string{q.names.all()}, MaxMsgsPerSubject: 1, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, Replicas: replicas, AllowDirect: true,
	}
}

// queueMetadata names the queue in its stream's metadata, where no character is
// forbidden.
const queueMetadata = "waybill.queue"

// checkStream refuses a stream that somebody made or changed in a way that could
// lose items.
func (q *Queue) checkStream(have jetstream.StreamConfig, replicas int) error {
	want := q.streamConfig(have.Replicas)
	wrong := func(what string, args ...any) error {
		return pipeline.Fail("bad-stream", "%s: the stream %s of queue %q %s", q.url, have.Name, q.names.queue, fmt.Sprintf(what, args...)).
			WithHint("it must be as waybill enqueue makes it; see docs/queues.md")
	}
	switch {
	case replicas > 0 && replicas != have.Replicas:
		return pipeline.Fail("bad-stream", "%s: the stream %s has %d replicas, the URL says %d", q.url, have.Name, have.Replicas, replicas).
			WithHint("leave replicas out, or change the stream: nats stream edit %s --replicas %d", have.Name, replicas)
	case have.Metadata[queueMetadata] != q.names.queue:
		return wrong("belongs to somebody else")
	case have.Storage != want.Storage || have.Retention != want.Retention || have.MaxMsgsPerSubject != 1:
		return wrong("does not keep the last message of each subject on disk")
	case have.MaxAge > 0 || have.MaxMsgs > 0 || have.Discard != want.Discard:
		return wrong("throws old messages away")
	case have.DenyDelete || have.Sealed:
		return wrong("cannot be changed")
	}
	return nil
}

// explain turns a missing store into a missing queue.
func (q *Queue) explain(err error) error {
	if errors.Is(err, errNoStore) {
		return q.absent(err)
	}
	return err
}

// absent is the error for a queue that is not there.
func (q *Queue) absent(why error) error {
	return pipeline.Fail("no-queue", "%s: queue %q: %w: %w", q.url, q.names.queue, pipeline.ErrNoQueue, why).
		WithHint("waybill enqueue --to %s --queue %s items.jsonl makes it", q.url, q.names.queue)
}

// Queues lists the queues of the server's account by name.
func (q *Queue) Queues(ctx context.Context) ([]string, error) {
	names := []string{}
	list := q.js.ListStreams(ctx, jetstream.WithStreamListSubject("waybill.>"))
	for info := range list.Info() {
		if name := info.Config.Metadata[queueMetadata]; name != "" {
			names = append(names, name)
		}
	}
	if err := list.Err(); err != nil {
		return nil, q.fail("queues", err)
	}
	return sorted(names), nil
}

// Wakes tells of every item that has become claimable, as soon as this process has
// read of it, whoever made it so; only a wait that ends makes no message.
func (q *Queue) Wakes() <-chan struct{} { return q.replica.turns.bell.Wakes() }

// point is where a process of the tests may die: after a write.
func (q *Queue) point(name string) {
	if q.door.set.point != nil {
		q.door.set.point(name)
	}
}

// Lease returns how long a claim lasts without renewal.
func (q *Queue) Lease() time.Duration { return q.opt.Lease }

func (q *Queue) closed() bool { return q.life.Err() != nil }

// Close ends the reaper and the connection. The embedded server ends with the
// last queue that uses it.
func (q *Queue) Close() error {
	q.closing.Lock()
	defer q.closing.Unlock()
	if q.closed() {
		return nil
	}
	q.die()
	q.replica.turns.bell.Close()
	q.reaper.Wait()
	q.tail.stop()
	q.book.close()
	if q.conn != nil {
		q.conn.Close()
	}
	q.link.broke()
	q.leave()
	return nil
}
