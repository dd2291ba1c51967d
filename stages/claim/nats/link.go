package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// attempt is how long one request to the server may take. An election of a
	// new leader takes some seconds, in which nobody answers.
	attempt = 3 * time.Second
	// attemptOfMany is how long a message may take that has others before it.
	attemptOfMany = 10 * time.Second
	// patience is how long an operation goes on trying.
	patience = 30 * time.Second
	// startWithin is how long a cluster that has just started may take to elect a
	// leader, and that to know of the nodes that a new stream needs.
	startWithin = 10 * time.Second
	// heartbeat is how often the server says that there is nothing new. After two
	// missing ones the reader looks for another node.
	heartbeat = time.Second
	// writers bounds how many messages of one call are on their way at a time.
	writers = 128
)

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

// errNotYet: not every node of the cluster knows what it will.
var errNotYet = errors.New("the cluster is not ready yet")

// codeNoPeers is the server's error code for a stream that is to have more copies
// than there are nodes that could keep one.
const codeNoPeers jetstream.ErrorCode = 10005

// make finds a stream or makes it, and returns when it answers. The leader of a
// cluster that has just started does not know of all nodes yet: it is asked again for
// a while.
func (q *Queue) make(ctx context.Context, config jetstream.StreamConfig) (s jetstream.Stream, err error) {
	giveUp, told := time.Now().Add(q.door.set.peers), false
	err = q.insist(ctx, func(ctx context.Context) (err error) {
		s, err = q.js.Stream(ctx, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = q.js.CreateStream(ctx, config)
		}
		if !hasCode(err, codeNoPeers) || time.Now().After(giveUp) {
			return err
		}
		if !told {
			q.log.Warn("the cluster has too few nodes for a new stream so far; it is asked again", "stream", config.Name, "replicas", config.Replicas, "error", err)
			told = true
		}
		return fmt.Errorf("%w: %w", errNotYet, err)
	})
	if hasCode(err, codeNoPeers) {
		return nil, &pipeline.Error{Kind: pipeline.Unavailable, Code: "too-few-nodes", Hint: "start the missing nodes, give them room, or make the queue with fewer replicas",
			Err: fmt.Errorf("%s: the stream %s is to have %d replicas, and the cluster has not so many nodes that could keep one: %w", q.url, config.Name, config.Replicas, err)}
	}
	if err != nil {
		return nil, err
	}
	return s, q.insist(ctx, func(ctx context.Context) error {
		_, err := q.js.Stream(ctx, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return errNotYet
		}
		return err
	})
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) && !errors.Is(err, errNotYet) {
		return api.Code == 503
	}
	if write := (*net.OpError)(nil); errors.As(err, &write) {
		return true // the connection broke while the request was sent
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, natsgo.ErrTimeout) || errors.Is(err, natsgo.ErrNoResponders) ||
		errors.Is(err, errNotYet) || errors.Is(err, jetstream.ErrAsyncPublishTimeout) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, natsgo.ErrDisconnected) || errors.Is(err, natsgo.ErrConnectionReconnecting) ||
		errors.Is(err, natsgo.ErrReconnectBufExceeded) || errors.Is(err, natsgo.ErrNoServers)
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
