package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

// Enqueue adds all items or, with an error, none. An id that the queue has
// already is an error (code duplicate-id); a known idempotency key is not.
func (q *Queue) Enqueue(ctx context.Context, items []pipeline.NewItem) ([]pipeline.Enqueued, error) {
	if err := q.usable(ctx); err != nil {
		return nil, q.fail("enqueue", err)
	}
	payloads := make([]payload, len(items))
	for i := range items {
		var err error
		if err = items[i].Validate(); err == nil {
			payloads[i], err = encode(&items[i])
		}
		if err == nil && int64(len(payloads[i].data))+headerRoom > q.conn.MaxPayload() {
			err = pipeline.Fail("body-too-large", "%s: the item has %d bytes, the server's max_payload is %d", q.url, len(payloads[i].data), q.conn.MaxPayload()).
				WithHint("set max_payload: 2MB in the server's configuration")
		}
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	out, err := q.enqueue(context.WithoutCancel(ctx), items, payloads)
	return out, q.fail("enqueue", err)
}

// headerRoom is more than a message has beside its data: three names of 512
// bytes, escaped, and the rest of the record.
const headerRoom = 16 << 10

// payload is the data of an item's message.
type payload struct {
	data []byte
	meta int // how much of it is meta data
}

func encode(it *pipeline.NewItem) (payload, error) {
	if len(it.Meta) == 0 {
		return payload{data: it.Body}, nil
	}
	meta, err := json.Marshal(it.Meta)
	return payload{append(meta, it.Body...), len(meta)}, err
}

// enqueue plans and writes until both agree: somebody else may have taken an id
// or a key in between.
func (q *Queue) enqueue(ctx context.Context, items []pipeline.NewItem, payloads []payload) ([]pipeline.Enqueued, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for ctx.Err() == nil {
		p, err := q.plan(items, payloads)
		if err != nil {
			return nil, err
		}
		if len(p.undecided) > 0 {
			err = q.decideFor(ctx, p.undecided)
		} else if err = q.carryOut(ctx, p); err == nil {
			return p.out, nil
		}
		var refused conflict
		if err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		if err := q.barrier(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("ids or keys are fought over: %w", ctx.Err())
}

// plan is what an enqueue would write.
type plan struct {
	out       []pipeline.Enqueued
	writes    []planned
	batch     string   // empty: one message is enough
	undecided []string // calls of others that must be decided first
}

// planned is a message with its condition.
type planned struct {
	m      *natsgo.Msg
	expect condition
}

// plan finds out what every item is and refuses all of them for one of them.
func (q *Queue) plan(items []pipeline.NewItem, payloads []payload) (plan, error) {
	r := q.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	p := plan{out: make([]pipeline.Enqueued, len(items)), batch: strings.ToLower(rand.Text())}
	now, ids, idems := q.clock.now(), map[string]bool{}, map[string]string{}
	if len(items) == 1 && items[0].IdempotencyKey == "" {
		p.batch = ""
	}
	for i := range items {
		it := &items[i]
		if first, known := q.firstOf(it.IdempotencyKey, idems, &p); known {
			p.out[i] = pipeline.Enqueued{ID: first, Duplicate: true}
			continue
		}
		id := it.ID
		if id == "" {
			id = strings.ToLower(rand.Text())
		} else if r.items[id] != nil || ids[id] {
			return p, q.duplicate(id)
		}
		ids[id], p.out[i].ID = true, id
		if b := r.undecided[r.names.item(id)]; b != "" {
			p.undecided = append(p.undecided, b)
		}
		if err := q.planItem(&p, it, payloads[i], id, now); err != nil {
			return p, err
		}
		if it.IdempotencyKey != "" {
			idems[it.IdempotencyKey] = id
		}
	}
	return p, nil
}

func (q *Queue) duplicate(id string) error {
	refusal := pipeline.Fail("duplicate-id", "queue %q has an item %q already", q.names.queue, id).
		WithHint("give an idempotencyKey if a second enqueue should be harmless")
	refusal.Item = id
	return refusal
}

// firstOf returns the item that has this idempotency key. If its call is not
// decided yet, that must happen first: it may come to nothing.
func (q *Queue) firstOf(idem string, here map[string]string, p *plan) (id string, known bool) {
	if idem == "" {
		return "", false
	}
	if id, known = here[idem]; known {
		return id, true
	}
	c, known := q.replica.idems[idem]
	if known && !q.replica.batch(c.batch).decided {
		p.undecided = append(p.undecided, c.batch)
	}
	return c.id, known
}

// planItem adds the messages of one item.
func (q *Queue) planItem(p *plan, it *pipeline.NewItem, data payload, id string, now int64) error {
	nonce := rand.Text()
	if it.IdempotencyKey != "" {
		err := q.planWrite(p, q.names.idem(it.IdempotencyKey), idemRecord{Idem: it.IdempotencyKey, ID: id, Batch: p.batch, At: now, Nonce: nonce}, nil)
		if err != nil {
			return err
		}
	}
	return q.planWrite(p, q.names.item(id), itemRecord{ID: id, Key: it.Key, Idem: it.IdempotencyKey, Priority: it.Priority, MaxAttempts: it.MaxAttempts,
		Enqueued: now, NotBefore: millis(it.NotBefore), Deadline: millis(it.Deadline), Trace: it.Trace,
		Meta: data.meta, Body: len(data.data) - data.meta, Batch: p.batch, Nonce: nonce}, data.data)
}

// planWrite adds a message whose subject must be free.
func (q *Queue) planWrite(p *plan, subject string, rec any, data []byte) error {
	m, err := message(subject, rec, data)
	p.writes = append(p.writes, planned{m, condition{subject, q.replica.remains[subject].seq}})
	return err
}

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
		return q.replica.wait(ctx, seq)
	}
	if err := q.publishAll(ctx, p.writes); err != nil {
		return q.undo(ctx, p.batch, err)
	}
	return q.decide(ctx, p.batch, true)
}

// undo takes a batch back whose messages could not all be written. If that fails
// too, others do it later: what matters is that nobody else says that it happened.
// A lost answer is then no more than a reason to begin anew.
func (q *Queue) undo(ctx context.Context, batch string, why error) error {
	if err := q.decide(ctx, batch, false); err != nil {
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
func (q *Queue) decide(ctx context.Context, name string, commit bool) error {
	m, err := message(q.names.batch(name), batchRecord{Batch: name, Committed: commit}, nil)
	if err != nil {
		return err
	}
	seq, err := q.publish(ctx, m, condition{m.Subject, 0})
	var refused conflict
	if err == nil {
		return q.replica.wait(ctx, seq)
	}
	if !errors.As(err, &refused) {
		return err
	}
	if err := q.barrier(ctx); err != nil {
		return err
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	if b := q.replica.batch(name); b.decided && b.commits == commit {
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
		late := !b.decided && b.seen > 0 && q.clock.now()-b.seen > graceOfBatch.Milliseconds()
		q.replica.mu.Unlock()
		if !late {
			continue
		}
		var refused conflict
		if err := q.decide(ctx, name, false); err != nil && !errors.As(err, &refused) {
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
