package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// maxHistory events are kept of an item, the latest ones: an item that is
	// given back for weeks (an open breaker) does not grow without end.
	maxHistory = 64
	// maxCause is how much of an error's text is kept.
	maxCause = 4 << 10
)

// errUnchanged: the transition's condition does not hold, or there is nothing to
// do; nothing is written.
var errUnchanged = errors.New("unchanged")

// transition decides what becomes of an item as the replica has it. Its error
// ends the change. An event without a time gets the transition's.
type transition func(x *item, now int64) (next stateRecord, event *pipeline.Event, err error)

// change makes one transition of an item: it decides on what the replica has,
// and writes under the condition that this is still so. If it is not, it reads
// on and decides anew. It returns the state that it wrote.
func (q *Queue) change(ctx context.Context, id string, decide transition) (stateRecord, error) {
	nonce := rand.Text()
	for {
		p, err := q.prepare(id, nonce, decide)
		if err != nil || p.written {
			return p.next.stateRecord, err
		}
		err = q.write(ctx, &p)
		var refused conflict
		if !errors.As(err, &refused) {
			return p.next.stateRecord, err
		}
		if err := q.reconsider(ctx, p, refused); err != nil {
			return stateRecord{}, err
		}
	}
}

// proposal is a transition that was decided and not yet written.
type proposal struct {
	x       *item
	past    past
	event   *pipeline.Event
	next    stateMessage
	expect  condition
	written bool // by an earlier try whose answer was lost
}

func (q *Queue) prepare(id, nonce string, decide transition) (proposal, error) {
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	x := q.replica.items[id]
	if x == nil {
		return proposal{}, pipeline.ErrNotFound
	}
	if x.st.Nonce == nonce {
		return proposal{next: stateMessage{stateRecord: x.st}, written: true}, nil
	}
	now := q.clock.now()
	next, event, err := decide(x, now)
	if err != nil {
		return proposal{}, err
	}
	if event != nil && event.At.IsZero() {
		event.At = instant(now)
	}
	next.Item, next.Nonce = x.seq, nonce
	return proposal{x: x, past: x.past(), event: event,
		next: stateMessage{stateRecord: next, ID: x.ID, Key: x.Key}, expect: q.replica.ofState(x)}, nil
}

// write writes a proposal, with the history up to now, and tells the replica.
func (q *Queue) write(ctx context.Context, p *proposal) error {
	history, err := q.history(ctx, p.past)
	if err != nil {
		return err
	}
	if p.event != nil {
		history = lastEvents(append(history, *p.event))
	}
	var data []byte
	if p.next.Events = len(history); p.next.Events > 0 {
		if data, err = json.Marshal(history); err != nil {
			return err
		}
	}
	m, err := message(q.names.state(p.next.Key, p.next.ID), p.next, data)
	if err != nil {
		return err
	}
	seq, err := q.publish(ctx, m, p.expect)
	if err != nil {
		return err
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	q.replica.setState(seq, p.next.stateRecord, p.next.ID, p.next.Key)
	if p.next.State == pipeline.StateLeased && p.next.Token == 0 {
		p.next.Token = seq + p.next.Floor
	}
	return nil
}

// past says where the events of an item are: in the data of its last state
// message, or at the end of those of its own message, if it has not changed since
// it came from another queue.
type past struct {
	seq    uint64
	events int
	from   int
}

func (x *item) past() past {
	if x.told {
		return past{x.rev, x.st.Events, 0}
	}
	return past{x.seq, x.st.Events, x.Meta + x.Body}
}

// history reads the events of an item. A message that is gone was replaced.
func (q *Queue) history(ctx context.Context, p past) ([]pipeline.Event, error) {
	if p.events == 0 {
		return nil, nil
	}
	data, err := q.load(ctx, p.seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, conflict{}
	}
	var out []pipeline.Event
	if err == nil && p.from > len(data) {
		err = errUnreadable
	}
	if err == nil {
		err = json.Unmarshal(data[p.from:], &out)
	}
	return out, err
}

// reconsider reads on after a conflict, so that the next decision knows what
// this one did not: as far as the message that is in the way, if the server names
// one, and to the stream's end if that explains nothing.
func (q *Queue) reconsider(ctx context.Context, p proposal, refused conflict) error {
	if refused.known {
		if err := q.reached(ctx, q.tail, refused.last); err != nil {
			return err
		}
		q.replica.mu.Lock()
		moved := q.replica.ofState(p.x) != p.expect
		q.replica.mu.Unlock()
		if moved {
			return nil
		}
	}
	if err := q.barrier(ctx); err != nil {
		return err
	}
	if !refused.known {
		return nil
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	if now := q.replica.ofState(p.x); now == p.expect && refused.last != now.last {
		q.replica.learn(now, p.x, refused.last)
	}
	return nil
}

func lastEvents(history []pipeline.Event) []pipeline.Event {
	return history[max(0, len(history)-maxHistory):]
}

// causeEvent describes a failure for the history.
func causeEvent(what string, attempt int, cause error) *pipeline.Event {
	e := &pipeline.Event{What: what, Attempt: attempt}
	if cause == nil {
		return e
	}
	e.Kind, e.Code = pipeline.KindOf(cause).String(), pipeline.CodeOf(cause)
	e.Error = strings.ToValidUTF8(cause.Error(), "?")
	e.Error = strings.ToValidUTF8(e.Error[:min(len(e.Error), maxCause)], "")
	var typed *pipeline.Error
	if errors.As(cause, &typed) {
		e.Stage = typed.Stage
	}
	return e
}
