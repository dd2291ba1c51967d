package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// attempt is how long one request to the server may take. An election of a
	// new leader takes some seconds, in which nobody answers.
	attempt = 3 * time.Second
	// attemptOfMany is how long a message may take that has others before it.
	attemptOfMany = 10 * time.Second
	// patience is how long an operation goes on trying.
	patience = 30 * time.Second
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

// errNotYet: a stream was just made, and not every node knows of it.
var errNotYet = errors.New("the new stream does not answer yet")

// await returns when a stream that was just made answers.
func (q *Queue) await(ctx context.Context, stream string) error {
	return q.insist(ctx, func(ctx context.Context) error {
		_, err := q.js.Stream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return errNotYet
		}
		return err
	})
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code == 503
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
