package nats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// codeConflict and codeBusy are the server's error codes for a condition that
// does not hold, and for one on a subject that another write is just changing.
const (
	codeConflict jetstream.ErrorCode = 10071
	codeBusy     jetstream.ErrorCode = 10164
)

// conflict is a condition that did not hold.
type conflict struct {
	last  uint64 // what the last sequence is
	known bool   // the server said so
}

func (c conflict) Error() string { return "somebody else has written in between" }

// see applies one message to the replica.
func (q *Queue) see(m *natsgo.Msg, seq uint64) {
	q.replica.mu.Lock()
	err := q.apply(m.Subject, m.Header, seq)
	q.replica.mu.Unlock()
	if err != nil {
		q.log.Error("a message that is not ours was left out", "queue", q.names.queue, "subject", m.Subject, "error", err)
	}
}

func (q *Queue) apply(subject string, h natsgo.Header, seq uint64) error {
	switch q.names.kind(subject) {
	case kindItem:
		return applied(h, func(rec itemRecord) { q.replica.addItem(seq, rec) })
	case kindState:
		return applied(h, func(rec stateMessage) { q.replica.setState(seq, rec.stateRecord, rec.ID, rec.Key) })
	case kindIdem:
		return applied(h, func(rec idemRecord) { q.replica.addIdem(seq, rec) })
	case kindBatch:
		return applied(h, func(rec batchRecord) { q.replica.decide(seq, rec) })
	case kindPause:
		return applied(h, func(rec pauseRecord) { q.replica.setPause(seq, rec) })
	}
	return errors.New("unknown subject")
}

func applied[T any](h natsgo.Header, apply func(T)) error {
	rec, err := record[T](h)
	if err == nil {
		apply(rec)
	}
	return err
}

// barrier returns when the replica has read everything that the stream had when
// barrier was called. It also asks for the time.
func (q *Queue) barrier(ctx context.Context) error {
	return q.readOn(ctx, q.names.stream(), &q.clock, q.tail)
}

// readOn asks a stream's leader for its end and its time, and returns when the
// end was read.
func (q *Queue) readOn(ctx context.Context, stream string, clock *clock, t *tail) error {
	var last uint64
	err := q.insist(ctx, func(ctx context.Context) error {
		asked := time.Now()
		s, err := q.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		info := s.CachedInfo()
		clock.sample(info.TimeStamp, asked)
		last = info.State.LastSeq
		return nil
	})
	if err != nil {
		return err
	}
	return q.reached(ctx, t, last)
}

// publish writes a message under a condition, on disk (or at a majority) when it
// returns. If the first answer was lost a second try may find its own message: a
// conflict, which the caller tells from others' by the nonce.
func (q *Queue) publish(ctx context.Context, m *natsgo.Msg, c condition) (seq uint64, err error) {
	expect := jetstream.WithExpectLastSequencePerSubject(c.last)
	if c.subject != m.Subject {
		expect = jetstream.WithExpectLastSequenceForSubject(c.last, c.subject)
	}
	err = q.insist(ctx, func(ctx context.Context) error {
		ack, err := q.js.PublishMsg(ctx, m, expect, jetstream.WithRetryAttempts(0))
		if err == nil {
			seq = ack.Sequence
		}
		return asConflict(err)
	})
	q.point(m.Subject)
	return seq, err
}

// asConflict recognises a condition that did not hold.
func asConflict(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case codeConflict:
		_, text, _ := strings.Cut(api.Description, "wrong last sequence: ")
		last, bad := strconv.ParseUint(text, 10, 64)
		return conflict{last, bad == nil}
	case codeBusy:
		return conflict{}
	}
	return err
}
