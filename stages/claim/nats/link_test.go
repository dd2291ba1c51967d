package nats_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestConnectionCut: the connection breaks again and again while items are put
// in, claimed and acknowledged, also between a write and its answer. Nothing is
// lost and nothing is done twice.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	p := newProxy(t, startServer(t, t.TempDir()).Addr().String())
	q := mustOpen(t, "nats://"+p.addr(), pipeline.QueueOptions{Create: true})
	const items = 60
	for i := range items / 2 {
		if i%10 == 5 {
			p.cutAfter(700) // in the middle of a message, or of an answer
		}
		mustEnqueue(t, q, pipeline.NewItem{ID: fmt.Sprintf("%03d", 2*i), Body: []byte(`{"n":1}`)},
			pipeline.NewItem{ID: fmt.Sprintf("%03d", 2*i+1), Body: []byte(`{"n":1}`)})
	}
	e := newEnds()
	err := drain(t.Context(), q, e, func(done int64) {
		if done%10 == 5 {
			p.cutAfter(int(done) * 50)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	e.check(t, items)
	if s, err := q.Stats(t.Context()); err != nil || s.Done != items || s.Enqueued != items {
		t.Errorf("stats %+v, error %v", s, err)
	}
	if p.cuts() < 4 {
		t.Errorf("the connection broke %d times only", p.cuts())
	}
}

// TestConnectionDead: nothing goes through the connection any more, and neither
// side is told. Another one is made, and a call that waits goes on with it.
func TestConnectionDead(t *testing.T) {
	t.Parallel()
	enqueue := func(bytes int) func(t *testing.T, q *nats.Queue) error {
		body := []byte(`"` + strings.Repeat("x", bytes) + `"`)
		return func(t *testing.T, q *nats.Queue) error {
			_, err := q.Enqueue(t.Context(), slices.Repeat([]pipeline.NewItem{{Body: body}}, 16))
			return err
		}
	}
	for name, c := range map[string]struct {
		how  condition
		call func(t *testing.T, q *nats.Queue) error
	}{
		"half-open, enqueue": {swallows, enqueue(10)},
		"half-open, claim": {swallows, func(t *testing.T, q *nats.Queue) error {
			items, err := q.Claim(t.Context(), 1)
			if err == nil && len(items) != 1 {
				err = fmt.Errorf("claimed %v", names(items))
			}
			return err
		}},
		"half-open, stats": {swallows, func(t *testing.T, q *nats.Queue) error {
			_, err := q.Stats(t.Context())
			return err
		}},
		"hung, enqueue": {hangs, enqueue(900 << 10)}, // more than the system's buffers take
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, startServer(t, t.TempDir()).Addr().String())
			q := openWith(t, nats.Driver(nats.WithPing(100*time.Millisecond)), "nats://"+p.addr(), pipeline.QueueOptions{Create: true})
			mustEnqueue(t, q, pipeline.NewItem{ID: "a"})
			p.die(c.how)
			if err := c.call(t, q); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWriteFails: a connection on which a write failed is closed. Whatever came
// next would be taken for the rest of the message that was cut.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it takes connections, and reads nothing
	c, err := nats.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	_, write := c.Write(make([]byte, 64<<20))
	_ = c.SetWriteDeadline(time.Time{})
	if _, next := c.Write([]byte("x")); !errors.Is(write, os.ErrDeadlineExceeded) || !errors.Is(next, net.ErrClosed) {
		t.Errorf("the write: %v; the next one: %v", write, next)
	}
}

// TestFirstMessageLost: the connection breaks while the stream's first message is
// delivered, which the client library does not notice.
func TestFirstMessageLost(t *testing.T) {
	t.Parallel()
	p := newProxy(t, startServer(t, t.TempDir()).Addr().String())
	q := mustOpen(t, "nats://"+p.addr(), pipeline.QueueOptions{Create: true})
	p.cutAfter(200)
	mustEnqueue(t, q, pipeline.NewItem{ID: "a"})
	if items, err := q.Claim(t.Context(), 1); len(items) != 1 || err != nil || p.cuts() != 1 {
		t.Errorf("claimed %v after %d cuts, error %v", names(items), p.cuts(), err)
	}
}

// TestReadingGoesOn: the client library gives up following the stream; the queue
// does not.
func TestReadingGoesOn(t *testing.T) {
	a, b, _ := pair(t)
	for i := range 3 {
		if err := nats.Unfollow(a); err != nil {
			t.Fatal(err)
		}
		mustEnqueue(t, b, pipeline.NewItem{ID: fmt.Sprint("of b ", i)})
		mustEnqueue(t, a, pipeline.NewItem{ID: fmt.Sprint("of a ", i)})
		items, err := a.Claim(t.Context(), 5)
		if err != nil || len(items) != 2 {
			t.Fatalf("claimed %v, error %v", names(items), err)
		}
	}
}

// proxy forwards connections, and breaks them after so many bytes from the server
// or lets them die.
type proxy struct {
	l     net.Listener
	to    string
	mu    sync.Mutex
	left  int // -1: no end
	n     int
	ended <-chan struct{} // of the test
	now   *atomic.Int32   // the condition of the connections that there are
}

// condition is what becomes of what is sent.
type condition int32

const (
	delivers condition = iota
	swallows           // nobody is told
	hangs              // it is not even taken
)

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, left: -1, now: &atomic.Int32{}, ended: t.Context().Done()}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.forward(c)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) cutAfter(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = bytes
}

// die is for the connections of now. New ones are good.
func (p *proxy) die(how condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Store(int32(how))
	p.now = &atomic.Int32{}
}

func (p *proxy) cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *proxy) forward(client net.Conn) {
	defer client.Close()
	_ = client.(*net.TCPConn).SetReadBuffer(64 << 10) // or the system takes megabytes of what nobody reads
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	now := p.now
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(mortal{server, now, p.ended}, client)
		_ = server.Close()
	}()
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		if err != nil || p.spend(n) {
			return
		}
		if _, err := (mortal{client, now, p.ended}).Write(buf[:n]); err != nil {
			return
		}
	}
}

// mortal is one direction of a connection.
type mortal struct {
	io.Writer
	now   *atomic.Int32
	ended <-chan struct{} // of the test
}

func (m mortal) Write(b []byte) (int, error) {
	switch condition(m.now.Load()) {
	case swallows:
		return len(b), nil
	case hangs:
		<-m.ended
	}
	return m.Writer.Write(b)
}

// spend reports whether the connection breaks now.
func (p *proxy) spend(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left < 0 {
		return false
	}
	if p.left -= n; p.left > 0 {
		return false
	}
	p.left = -1
	p.n++
	return true
}
