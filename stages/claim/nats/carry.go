package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// carryOut writes a plan. One message is its own decision; several are decided
// by one more, and until that is there no process sees any of them.
func (q *Queue) carryOut(ctx context.Context, p plan) error {
	if len(p.writes) == 0 {
		return nil
	}
	if p.batch == "" {
		seq, err := q.publish(ctx, p.writes[0].m, p.writes[0].expect)
		if err != nil {
			return q.mine(ctx, p, err)
		}
		return q.reached(ctx, q.tail, seq)
	}
	if err := q.publishAll(ctx, p.writes); err != nil {
		return q.undo(ctx, p.batch, err)
	}
	return q.decide(ctx, batchRecord{Batch: p.batch, Committed: true})
}

// undo takes a batch back whose messages could not all be written. If that fails
// too, others do it later: what matters is that nobody else says that it happened.
// A lost answer is then no more than a reason to begin anew.
func (q *Queue) undo(ctx context.Context, batch string, why error) error {
	if err := q.decide(ctx, batchRecord{Batch: batch}); err != nil {
		q.log.Debug("a call that failed is undone later", "queue", q.names.queue, "batch", batch, "error", err)
	}
	if passing(why) {
		return conflict{}
	}
	return why
}

// mine finds out whether a conflict was with this very message, whose answer was
// lost, and corrects the replica if it was with one that nobody can see.
func (q *Queue) mine(ctx context.Context, p plan, err error) error {
	var refused conflict
	if !errors.As(err, &refused) {
		return err
	}
	if err := q.barrier(ctx); err != nil {
		return err
	}
	want, bad := record[itemRecord](p.writes[0].m.Header)
	if bad != nil {
		return bad
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	x := q.replica.items[want.ID]
	if x != nil && x.Nonce == want.Nonce {
		return nil
	}
	if x == nil && refused.known && refused.last != q.replica.remains[p.writes[0].expect.subject].seq {
		q.replica.learn(p.writes[0].expect, nil, refused.last)
	}
	return err
}

// publishAll writes messages in their order, which is that of the items, without
// waiting for each answer. A lost answer is an error: nothing was decided yet.
func (q *Queue) publishAll(ctx context.Context, writes []planned) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var first error
	for len(writes) > 0 && first == nil {
		n := min(len(writes), writers)
		first = q.publishSome(ctx, writes[:n])
		writes = writes[n:]
	}
	return first
}

func (q *Queue) publishSome(ctx context.Context, writes []planned) (first error) {
	acks := make([]jetstream.PubAckFuture, 0, len(writes))
	for _, w := range writes {
		ack, err := q.js.PublishMsgAsync(w.m, jetstream.WithExpectLastSequencePerSubject(w.expect.last), jetstream.WithRetryAttempts(0))
		if err != nil {
			first = err
			break
		}
		acks = append(acks, ack)
		if q.door.set.point != nil {
			<-q.js.PublishAsyncComplete() // so that a death comes after the write
			q.point(w.m.Subject)
		}
	}
	for i, ack := range acks {
		if err := q.outcome(ctx, ack, writes[i].expect); first == nil {
			first = err
		}
	}
	return first
}

// outcome waits for one answer.
func (q *Queue) outcome(ctx context.Context, ack jetstream.PubAckFuture, expect condition) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		err = asConflict(err)
		var refused conflict
		if errors.As(err, &refused) && refused.known {
			q.replica.mu.Lock()
			q.replica.learn(expect, nil, refused.last)
			q.replica.mu.Unlock()
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decide writes whether a batch has happened. The first decision stands, whoever
// made it; conflict says that it was the other one.
func (q *Queue) decide(ctx context.Context, rec batchRecord) error {
	rec.At = q.clock.now()
	m, err := message(q.names.batch(rec.Batch), rec, nil)
	if err != nil {
		return err
	}
	seq, err := q.publish(ctx, m, condition{m.Subject, 0})
	var refused conflict
	if err == nil {
		return q.reached(ctx, q.tail, seq)
	}
	if !errors.As(err, &refused) {
		return err
	}
	if err := q.barrier(ctx); err != nil {
		return err
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	if b := q.replica.batch(rec.Batch); b.decided && b.commits == rec.Committed {
		return nil
	}
	return refused
}

// graceOfBatch is how long a call may take to write its messages before others
// may undo it. Its own decision then comes too late, and it begins anew.
const graceOfBatch = 5 * time.Second

// decideFor waits until the calls of others are decided, and undoes those that
// take too long: their process has died.
func (q *Queue) decideFor(ctx context.Context, batches []string) error {
	for _, name := range batches {
		q.replica.mu.Lock()
		b := q.replica.batch(name)
		late := b.overdue(q.clock.now(), graceOfBatch)
		q.replica.mu.Unlock()
		if !late {
			continue
		}
		var refused conflict
		if err := q.decide(ctx, batchRecord{Batch: name}); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
	pause := time.NewTimer(20 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	return nil
}
