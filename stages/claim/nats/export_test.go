package nats

import (
	"context"
	"errors"
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
func Commit(ctx context.Context, q *Queue, batch string) error { return q.decide(ctx, batch, true) }

// Bury deletes tombstones as if their time had come.
func Bury(ctx context.Context, q *Queue) {
	q.replica.mu.Lock()
	for seq, t := range q.replica.tombs {
		t.since = t.since.Add(-2 * keepRemains)
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
