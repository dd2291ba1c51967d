package nats

import (
	"context"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// tail follows a stream from its beginning and calls a function for each message
// once, in order. It uses the client's older subscription, because the reset of
// the newer one is a data race. That gives up for good when a reset fails (a
// connection that breaks while it is made anew, a stream without a leader), and
// does not notice that the first message after one was lost; whoever waits for a
// message then begins anew.
type tail struct {
	read    progress
	reading sync.Mutex // held while a message is applied

	mu   sync.Mutex
	sub  *natsgo.Subscription
	open func(natsgo.MsgHandler, ...natsgo.SubOpt) (*natsgo.Subscription, error)
	see  func(m *natsgo.Msg, seq uint64)
}

// newTail returns a tail of a stream; nothing is read before follow.
func (q *Queue) newTail(stream, subjects string, see func(m *natsgo.Msg, seq uint64), opts ...natsgo.SubOpt) *tail {
	opts = append(opts, natsgo.OrderedConsumer(), natsgo.BindStream(stream), natsgo.IdleHeartbeat(heartbeat))
	return &tail{see: see, open: func(handle natsgo.MsgHandler, from ...natsgo.SubOpt) (*natsgo.Subscription, error) {
		js, err := q.conn.JetStream()
		if err != nil {
			return nil, err
		}
		return js.Subscribe(subjects, handle, append(from, opts...)...)
	}}
}

// follow begins to read behind what was read, unless that is going on.
func (t *tail) follow() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sub != nil && t.sub.IsValid() {
		return nil
	}
	sub, err := t.open(t.take, natsgo.StartSequence(t.read.done()+1))
	if err == nil {
		t.sub = sub
	}
	return err
}

// take applies a message, unless it is delivered again after an interruption. A
// message that says no sequence is not of a stream.
func (t *tail) take(m *natsgo.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	if seq := meta.Sequence.Stream; seq > t.read.done() {
		t.see(m, seq)
		t.read.advance(seq)
	}
}

func (t *tail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sub != nil {
		_ = t.sub.Unsubscribe() // its server side ends with the connection at the latest
	}
}

// reached returns when the stream was read up to seq. However long that takes, it
// goes on as long as something comes: a process that starts reads all there is.
func (q *Queue) reached(ctx context.Context, t *tail, seq uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.life, cancel)()
	for silent := time.Duration(0); ; {
		before := t.read.done()
		if before >= seq {
			return nil
		}
		if err := t.follow(); err != nil && !passing(err) && !q.closed() {
			return err
		}
		once, done := context.WithTimeout(ctx, 2*heartbeat)
		err := t.read.wait(once, seq)
		done()
		switch {
		case q.closed():
			return errClosed
		case err != nil && ctx.Err() != nil:
			return err
		case t.read.done() > before:
			silent = 0
		case err != nil:
			t.stop()
			if silent += 2 * heartbeat; silent >= patience {
				return err
			}
		}
	}
}
