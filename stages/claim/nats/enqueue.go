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
// or a key in between. An item that is in the way may be gone or have ended in
// another process: before the answer rests on it, this one reads on.
func (q *Queue) enqueue(ctx context.Context, items []pipeline.NewItem, payloads []payload) ([]pipeline.Enqueued, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for fresh := false; ctx.Err() == nil; fresh = true {
		p, err := q.plan(items, payloads)
		switch {
		case !fresh && (p.unsure || err != nil):
			err = conflict{}
		case err != nil:
		case len(p.undecided) > 0:
			err = q.decideFor(ctx, p.undecided)
		default:
			if err = q.carryOut(ctx, p); err == nil {
				return p.out, nil
			}
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
	unsure    bool     // it rests on what may be over: an item has an id or key, or a dead one lost it
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
		if first, known := q.firstOf(it.IdempotencyKey, idems, &p, now); known {
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

// firstOf returns the item that has this idempotency key. If a call that wants
// it is not decided yet, that must happen first: it may come to nothing.
func (q *Queue) firstOf(idem string, here map[string]string, p *plan, now int64) (id string, known bool) {
	if idem == "" {
		return "", false
	}
	if id, known = here[idem]; known {
		return id, true
	}
	if m := q.replica.marks[idem]; q.replica.open(m.batch) {
		p.undecided = append(p.undecided, m.batch)
	}
	x := q.replica.holders[idem]
	if x == nil {
		return "", false
	}
	held := x.holdsIdem(now)
	p.unsure = p.unsure || held || x.st.State == pipeline.StateDead
	if !held {
		return "", false
	}
	return x.ID, true
}

// planItem adds the messages of one item.
func (q *Queue) planItem(p *plan, it *pipeline.NewItem, data payload, id string, now int64) error {
	rec := itemRecord{ID: id, Key: it.Key, Idem: it.IdempotencyKey, IdemActive: it.IdempotencyScope == pipeline.ScopeActive,
		Priority: it.Priority, MaxAttempts: it.MaxAttempts, Enqueued: now, NotBefore: millis(it.NotBefore), Deadline: millis(it.Deadline),
		Trace: it.Trace, Meta: data.meta, Body: len(data.data) - data.meta}
	if ttl := time.Duration(it.IdempotencyTTL); ttl > 0 {
		rec.IdemUntil = now + max(1, ttl.Milliseconds())
	}
	return q.planRecord(p, rec, data.data, now)
}

// planRecord adds an item's message, and that of its idempotency key before it.
func (q *Queue) planRecord(p *plan, rec itemRecord, data []byte, now int64) error {
	rec.Batch, rec.Nonce = p.batch, rand.Text()
	if rec.Idem != "" {
		mark := idemRecord{Idem: rec.Idem, ID: rec.ID, Batch: p.batch, At: now, Nonce: rec.Nonce}
		if err := p.add(condition{q.names.idem(rec.Idem), q.replica.lastIdem(rec.Idem)}, mark, nil); err != nil {
			return err
		}
	}
	subject := q.names.item(rec.ID)
	return p.add(condition{subject, q.replica.remains[subject].seq}, rec, data)
}

// add adds a message to a subject that must be as the replica knows it.
func (p *plan) add(expect condition, rec any, data []byte) error {
	m, err := message(expect.subject, rec, data)
	p.writes = append(p.writes, planned{m, expect})
	return err
}
