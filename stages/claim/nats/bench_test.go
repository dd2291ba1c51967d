package nats_test

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/claimtest"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// BenchmarkQueue is to be compared with BenchmarkFloor. The server is embedded and
// flushes each write; its processor time is part of the figures of both.
func BenchmarkQueue(b *testing.B) {
	claimtest.Speed(b, func(b *testing.B) claimtest.Racer { return claimtest.Queue(embeddedQueue(b, b.TempDir())) })
}

// BenchmarkWaiting shows that a claim costs the same whatever waits.
func BenchmarkWaiting(b *testing.B) {
	claimtest.Waiting(b, claimtest.RoundsFrom(b, os.Getenv("WAYBILL_BENCH_ROUNDS")), func(b *testing.B, waiting int) claimtest.Racer {
		return claimtest.Queue(crowded(b, waiting))
	}, 1_000, 1_000_000)
}

func embeddedQueue(b *testing.B, dir string) *nats.Queue {
	return mustOpen(b, "nats:embedded?dir="+dir, pipeline.QueueOptions{Create: true})
}

// crowded is a queue in which so many items wait. They are written by a server
// that does not flush: a million take long otherwise.
func crowded(b *testing.B, waiting int) *nats.Queue {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the rest is not measured
	dir := b.TempDir()
	s := startServer(b, dir)
	q := mustOpen(b, s.ClientURL(), pipeline.QueueOptions{Create: true})
	if err := nats.Fill(b.Context(), q, waiting, claimtest.SpeedBody()); err != nil {
		b.Fatal(err)
	}
	if err := q.Close(); err != nil {
		b.Fatal(err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	q = embeddedQueue(b, dir)
	if got, err := q.Stats(b.Context()); err != nil || got.Ready != int64(waiting) {
		b.Fatalf("%+v of %d items, error %v", got, waiting, err)
	}
	return q
}

// BenchmarkFloor is JetStream's own work queue on the same server: messages of the
// same size are published, a batch without waiting for each answer; then fetched,
// and each is acknowledged, waiting for the server's answer. That is one write
// less for each item than the protocol needs: a claim writes nothing there.
func BenchmarkFloor(b *testing.B) { claimtest.Speed(b, newFloor) }

type floor struct {
	js       jetstream.JetStream
	stream   jetstream.Stream
	consumer jetstream.Consumer
	body     []byte
	n        atomic.Int64
}

func newFloor(b *testing.B) claimtest.Racer {
	b.Helper()
	f := &floor{js: nats.JetStream(embeddedQueue(b, b.TempDir())), body: claimtest.SpeedBody()}
	var err error
	f.stream, err = f.js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "floor", Subjects: []string{"floor.>"}, Retention: jetstream.WorkQueuePolicy})
	if err == nil {
		f.consumer, err = f.stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{Durable: "floor", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	}
	if err != nil {
		b.Fatal(err)
	}
	return claimtest.Racer{Enqueue: f.publish, ClaimAck: f.fetchAck, Ended: f.ended}
}

func (f *floor) subject() string { return fmt.Sprint("floor.", f.n.Add(1)) }

func (f *floor) publish(n int) error {
	if n == 1 {
		_, err := f.js.Publish(context.Background(), f.subject(), f.body)
		return err
	}
	acks := make([]jetstream.PubAckFuture, n)
	for i := range acks {
		var err error
		if acks[i], err = f.js.PublishAsync(f.subject(), f.body); err != nil {
			return err
		}
	}
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return err
		}
	}
	return nil
}

func (f *floor) fetchAck(n int) (int, error) {
	got, err := f.consumer.Fetch(n, jetstream.FetchMaxWait(30*time.Second))
	if err != nil {
		return 0, err
	}
	var all []jetstream.Msg
	for m := range got.Messages() {
		all = append(all, m)
	}
	if err := got.Error(); err != nil {
		return 0, err
	}
	return len(all), claimtest.AtOnce(len(all), func(i int) error { return all[i].DoubleAck(context.Background()) })
}

func (f *floor) ended() (int64, error) {
	info, err := f.stream.Info(context.Background())
	if err != nil {
		return 0, err
	}
	return f.n.Load() - int64(info.State.Msgs), nil
}
