package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// attempt is how long one request to the server may take. An election of a
	// new leader takes some seconds, in which nobody answers.
	attempt = 3 * time.Second
	// patience is how long an operation goes on trying.
	patience = 30 * time.Second
	// heartbeat is how often the server says that there is nothing new. After two
	// missing ones the reader looks for another node.
	heartbeat = time.Second
	// writers bounds how many messages of one call are on their way at a time.
	writers = 128
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

// follow keeps the replica in step with the stream until the queue is closed. It
// uses the client's older subscription: the newer one's reset is a data race.
func (q *Queue) follow() error {
	js, err := q.conn.JetStream()
	if err != nil {
		return err
	}
	q.reading, err = js.Subscribe(q.names.all(), q.read, natsgo.OrderedConsumer(), natsgo.HeadersOnly(),
		natsgo.BindStream(q.names.stream()), natsgo.IdleHeartbeat(heartbeat))
	return err
}

// read applies one message to the replica.
func (q *Queue) read(m *natsgo.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		q.log.Error("a message without a sequence was left out", "queue", q.names.queue, "subject", m.Subject, "error", err)
		return
	}
	q.replica.mu.Lock()
	defer q.replica.mu.Unlock()
	if meta.Sequence.Stream <= q.replica.applied {
		return // delivered again after an interruption
	}
	if err := q.apply(m.Subject, m.Header, meta.Sequence.Stream); err != nil {
		q.log.Error("a message that is not ours was left out", "queue", q.names.queue, "subject", m.Subject, "error", err)
	}
	q.replica.advance(meta.Sequence.Stream)
}

func (q *Queue) apply(subject string, h natsgo.Header, seq uint64) error {
	switch q.names.kind(subject) {
	case kindItem:
		rec, err := record[itemRecord](h)
		if err != nil {
			return err
		}
		q.replica.addItem(seq, rec)
	case kindState:
		rec, err := record[stateMessage](h)
		if err != nil {
			return err
		}
		q.replica.setState(seq, rec.stateRecord, rec.ID, rec.Key)
	case kindIdem:
		rec, err := record[idemRecord](h)
		if err != nil {
			return err
		}
		q.replica.addIdem(seq, rec)
	case kindBatch:
		rec, err := record[batchRecord](h)
		if err != nil {
			return err
		}
		q.replica.decide(seq, rec)
	default:
		return errors.New("unknown subject")
	}
	return nil
}

// barrier returns when the replica has read everything that the stream had when
// barrier was called. It also asks for the time.
func (q *Queue) barrier(ctx context.Context) error {
	var last uint64
	err := q.insist(ctx, func(ctx context.Context) error {
		asked := time.Now()
		s, err := q.js.Stream(ctx, q.names.stream())
		if err != nil {
			return err
		}
		info := s.CachedInfo()
		q.clock.sample(info.TimeStamp, asked)
		last = info.State.LastSeq
		return nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(q.life, cancel)()
	if err = q.replica.wait(ctx, last); q.closed() {
		return errClosed
	}
	return err
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

// insist repeats a request while nobody answers: a node is lost, a leader is
// being elected, the connection is being made anew.
func (q *Queue) insist(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := q.try(ctx, request)
		if !passing(err) || q.closed() {
			return err
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("no answer in time: %w", err)
		case <-q.life.Done():
			pause.Stop()
			return errClosed
		}
	}
}

// try makes a request once. A connection that breaks ends it: its answer will
// never come.
func (q *Queue) try(ctx context.Context, request func(context.Context) error) error {
	once, done := context.WithTimeout(ctx, attempt)
	defer done()
	defer context.AfterFunc(q.link.up(), done)()
	defer context.AfterFunc(q.life, done)()
	err := request(once)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return natsgo.ErrDisconnected
	}
	return err
}

// link tells when the connection breaks.
type link struct {
	mu   sync.Mutex
	ctx  context.Context
	down context.CancelFunc
}

// up returns a context that ends when the connection breaks for the next time.
func (l *link) up() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.down = context.WithCancel(context.Background())
	}
	return l.ctx
}

func (l *link) broke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx != nil {
		l.down()
		l.ctx = nil
	}
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, natsgo.ErrTimeout) || errors.Is(err, natsgo.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, natsgo.ErrDisconnected) || errors.Is(err, natsgo.ErrConnectionReconnecting) ||
		errors.Is(err, natsgo.ErrReconnectBufExceeded) || errors.Is(err, natsgo.ErrNoServers)
}

// load returns the data of the message with this sequence. Any node that has the
// stream may answer, also one that is a little behind: only its leader is believed
// that a message is not there.
func (q *Queue) load(ctx context.Context, seq uint64) (data []byte, err error) {
	err = q.insist(ctx, func(ctx context.Context) error {
		m, err := q.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) && q.replicas > 1 {
			data, err = q.loadFromLeader(ctx, seq)
		} else if err == nil {
			data = m.Data
		}
		return err
	})
	return data, err
}

// loadFromLeader asks the API of the stream, which its leader answers; the
// client library itself asks any node of a stream that allows it.
func (q *Queue) loadFromLeader(ctx context.Context, seq uint64) ([]byte, error) {
	reply, err := q.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+q.names.stream(), fmt.Appendf(nil, `{"seq":%d}`, seq))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError
		Message struct{ Data []byte }
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, err
	}
	switch {
	case answer.Error == nil:
		return answer.Message.Data, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	}
	return nil, answer.Error
}

// remove deletes a message for good; it may be gone already.
func (q *Queue) remove(ctx context.Context, seq uint64) error {
	err := q.insist(ctx, func(ctx context.Context) error { return q.stream.DeleteMsg(ctx, seq) })
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		for _, gone := range [...]string{"not found", "no message found", "deleted message", "EOF"} {
			if strings.Contains(err.Error(), gone) {
				return nil
			}
		}
	}
	return err
}

// each calls f for 0 to n-1, at most writers at a time, and returns when all are
// done.
func each(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, writers)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
