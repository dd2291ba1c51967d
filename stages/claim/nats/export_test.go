package nats

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

// Begin writes the messages of an enqueue and dies before it decides. It returns
// the batch.
func Begin(ctx context.Context, q *Queue, items []pipeline.NewItem) (string, error) {
	payloads := make([]payload, len(items))
	for i := range items {
		payloads[i].data = items[i].Body
	}
	p, err := q.plan(items, payloads)
	if err == nil {
		err = q.publishAll(ctx, p.writes)
	}
	return p.batch, err
}

// Commit decides a batch.
func Commit(ctx context.Context, q *Queue, batch string) error {
	return q.decide(ctx, batchRecord{Batch: batch, Committed: true})
}

// Bury deletes tombstones as if their time had come.
func Bury(ctx context.Context, q *Queue) {
	q.replica.mu.Lock()
	for seq, t := range q.replica.tombs {
		t.at -= 2 * keepRemains.Milliseconds()
		q.replica.tombs[seq] = t
	}
	q.replica.mu.Unlock()
	q.sweep(ctx, 0)
}

// Stream returns the queue's stream.
func Stream(ctx context.Context, q *Queue) (jetstream.Stream, error) {
	return q.js.Stream(ctx, q.names.stream())
}

// LoadFromLeader is loadFromLeader.
func LoadFromLeader(ctx context.Context, q *Queue, seq uint64) ([]byte, error) {
	return q.loadFromLeader(ctx, seq)
}

// JetStream returns the queue's connection.
func JetStream(q *Queue) jetstream.JetStream { return q.js }

// CheckVersion is checkVersion.
func CheckVersion(v string) error { return checkVersion(v) }

// Token is token.
func Token(s string) string { return token(s) }

// Clock is a clock that was told server times so long before now, each after a
// trip; it returns its time.
func Clock(samples ...Sample) time.Time {
	c := clock{}
	now := time.Now()
	for _, s := range samples {
		c.sampleAt(s.Server, now.Add(-s.Ago-s.Trip), now.Add(-s.Ago))
	}
	return instant(c.now())
}

// Sample is what a server said, how long ago, and after which trip.
type Sample struct {
	Server    time.Time
	Ago, Trip time.Duration
}

// Servers returns what the client connects to.
func Servers(url, dir string) (servers, shown string, err error) {
	a, err := parseAddress(url, dir)
	return a.servers, a.shown, err
}

// Propose decides to claim an item and returns the write, which may come late. It
// reports whether its condition held.
func Propose(q *Queue, id string) (write func(context.Context) (bool, error), err error) {
	p, err := q.prepare(id, "late", func(x *item, now int64) (stateRecord, *pipeline.Event, error) {
		next := x.st
		next.State, next.Token, next.LeaseUntil = pipeline.StateLeased, 0, now+1000
		return next, nil, nil
	})
	return func(ctx context.Context) (bool, error) {
		err := q.write(ctx, &p)
		var refused conflict
		if errors.As(err, &refused) {
			return false, nil
		}
		return err == nil, err
	}, err
}

// WithPoints calls point between every two writes.
func WithPoints(point func(name string)) Option {
	return func(s *settings) { s.point = point }
}

// WithPeersWithin says how long a new stream waits for nodes.
func WithPeersWithin(d time.Duration) Option {
	return func(s *settings) { s.peers = d }
}

// WithPing says how often the connection is tried.
func WithPing(d time.Duration) Option {
	return func(s *settings) { s.ping = d }
}

// Dial makes a connection as the client does.
func Dial(address string) (net.Conn, error) { return dialer{}.Dial("tcp", address) }

// URL returns the queue's URL.
func URL(q *Queue) string { return q.url }

// RecordsConfig is recordsConfig.
func RecordsConfig() jetstream.StreamConfig { return recordsConfig(1) }

// Depart marks an item as on its way to another queue. What it returns asks, much
// later, whether it has arrived.
func Depart(ctx context.Context, q *Queue, to, id string) (func(context.Context) (bool, error), error) {
	j := journey{To: to, Batch: "late", At: q.clock.now()}
	q.replica.mu.Lock()
	x := q.replica.items[id]
	q.replica.mu.Unlock()
	_, err := q.changeAll(ctx, []*item{x}, departs(j))
	return func(ctx context.Context) (bool, error) { return q.arrived(ctx, j) }, err
}

// DeleteStreams deletes every queue and all records of the server.
func DeleteStreams(ctx context.Context, q *Queue) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list := q.js.StreamNames(ctx)
	for name := range list.Name() {
		if err := q.js.DeleteStream(ctx, name); err != nil {
			return err
		}
	}
	return list.Err()
}

// Unfollow ends the reading of the queue's stream, as the client library does when
// it cannot go on.
func Unfollow(q *Queue) error { return q.tail.sub.Unsubscribe() }

// Hold keeps a queue from applying what it reads until release is called.
func Hold(q *Queue) (release func()) {
	q.tail.reading.Lock()
	return q.tail.reading.Unlock
}

// Fill writes n items that are ready without waiting for each answer. The queue
// does not read them: it is to be opened anew.
func Fill(ctx context.Context, q *Queue, n int, body []byte) error {
	q.tail.stop()
	for i := range n {
		id := strconv.Itoa(i)
		m, err := message(q.names.item(id), itemRecord{ID: id, Enqueued: q.clock.now(), Body: len(body), Nonce: id}, body)
		if err == nil {
			_, err = q.js.PublishMsgAsync(m, jetstream.WithStallWait(patience))
		}
		if err != nil {
			return err
		}
	}
	select {
	case <-q.js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Deafen ends a process's reading of the stream, until it wants to read on.
func Deafen(q *Queue) { q.tail.stop() }

// Conflicts returns how many claims of this process others were faster with.
func Conflicts(q *Queue) int64 { return q.conflicts.Load() }
