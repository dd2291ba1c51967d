package cdp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/chromedp/cdproto"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/target"
)

const (
	// maxAnswer is how many bytes the answer to a command may have, unless its
	// caller expects less: a noisy picture of 25 megapixels has half of it.
	maxAnswer = 256 << 20
	// maxEvent is how many bytes an event may have. An address has at most 2 MiB
	// (Chromium's kMaxURLChars), which JSON may make six times as long.
	maxEvent = 16 << 20
)

var (
	errConnection = errors.New("the connection to the browser is gone")
	errDetached   = errors.New("the target is gone")
)

// lenient because a page's text may hold halves of surrogate pairs.
var lenient = jsonv2.AllowInvalidUTF8(true)

// transport carries messages to a browser and back.
type transport interface {
	// read waits for the next message that want has a use for. Of one that is
	// larger than want says only the id, or method and session, are returned,
	// and its size. One goroutine reads.
	read(want func(head []byte) (cdproto.Message, int64)) (m *cdproto.Message, over int64, err error)
	// write begins to send. What the browser does not take at once is rest, which
	// waits for that; nil: everything was sent. One goroutine writes, until rest
	// has returned.
	write(messages []*cdproto.Message) (rest func(), err error)
	// Close ends a read and a rest under way.
	Close() error
}

// conn is a connection to a browser. One goroutine reads: it hands answers to
// those who wait, and runs listeners. Commands are written by their callers.
//
// chromedp has a connection too, but its pages cannot be had without eleven
// domains switched on one after the other, it decodes every event for itself,
// and it keeps any answer, however large.
type conn struct {
	transport transport
	life      context.Context // ends with the connection; its cause is why
	end       context.CancelCauseFunc
	ended     chan struct{} // closed when the reader has ended
	writing   chan struct{} // holds one while somebody writes

	mu    sync.Mutex
	last  int64
	calls map[int64]*call
	links map[target.SessionID]*link
	heard map[string]bool // methods of events that somebody listens to, or did
}

// call is a command that was not answered yet.
type call struct {
	id     int64
	link   *link
	most   int64 // bytes of the answer
	answer chan answered
}

type answered struct {
	message *cdproto.Message
	err     error
}

// link is a session of the protocol, with the browser or with one of its
// targets.
type link struct {
	conn *conn
	id   target.SessionID // empty: the browser's
	gone chan struct{}    // closed when it is detached

	listeners []*listener // guarded by conn.mu; the slice is replaced, never changed
}

type listener struct {
	hear func(method string, params jsonv2.Value)
}

var _ proto.Session = (*link)(nil)

// newConn starts to read.
func newConn(t transport) (*conn, *link) {
	c := &conn{transport: t, ended: make(chan struct{}), writing: make(chan struct{}, 1),
		calls: map[int64]*call{}, links: map[target.SessionID]*link{}, heard: map[string]bool{string(cdproto.EventTargetDetachedFromTarget): true}}
	c.life, c.end = context.WithCancelCause(context.Background())
	go c.read()
	return c, c.link("")
}

// close ends the connection and waits for the reader.
func (c *conn) close() {
	_ = c.transport.Close()
	<-c.ended
}

// link makes the link of a session that was just attached.
func (c *conn) link(id target.SessionID) *link {
	l := &link{conn: c, id: id, gone: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[id] = l
	return l
}

func (c *conn) read() {
	defer close(c.ended)
	for {
		m, over, err := c.transport.read(c.want)
		switch {
		case err != nil:
			c.fail(err)
			return
		case m.ID != 0:
			c.answer(m, over)
		default:
			c.publish(m)
		}
	}
}

// fail ends all calls.
func (c *conn) fail(err error) {
	c.end(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.calls {
		k.answer <- answered{err: c.lost()}
	}
	c.calls = nil
}

func (c *conn) lost() error { return fmt.Errorf("%w: %w", errConnection, context.Cause(c.life)) }

// want says how many bytes of a message are of use; 0: none. Chrome writes id or
// method first, so that most messages need not be decoded to be dropped; of
// others all is of use.
func (c *conn) want(head []byte) (m cdproto.Message, most int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rest, ok := bytes.CutPrefix(head, []byte(`{"id":`)); ok {
		n := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		m.ID, _ = strconv.ParseInt(string(rest[:max(n, 0)]), 10, 64)
		if k := c.calls[m.ID]; k != nil {
			return m, k.most
		}
		return m, 0
	}
	if rest, ok := bytes.CutPrefix(head, []byte(`{"method":"`)); ok {
		name, _, _ := bytes.Cut(rest, []byte{'"'})
		if !c.heard[string(name)] {
			return m, 0
		}
		m.Method = cdproto.MethodType(name)
		return m, maxEvent
	}
	return m, maxAnswer
}

// answer ends a call.
func (c *conn) answer(m *cdproto.Message, over int64) {
	c.mu.Lock()
	k := c.calls[m.ID]
	delete(c.calls, m.ID)
	c.mu.Unlock()
	over = max(over, int64(len(m.Result))) // a transport need not know
	switch {
	case k == nil:
	case over > k.most:
		k.answer <- answered{err: &TooLargeError{"the browser's answer", over, k.most, "bytes"}}
	case m.Error != nil:
		k.answer <- answered{err: m.Error}
	default:
		k.answer <- answered{message: m}
	}
}

// publish runs the listeners. An event that was too large has no parameters.
func (c *conn) publish(m *cdproto.Message) {
	if m.Method == cdproto.EventTargetDetachedFromTarget {
		var ev target.EventDetachedFromTarget
		if jsonv2.Unmarshal(m.Params, &ev, lenient) == nil {
			c.detach(ev.SessionID)
		}
		return
	}
	c.mu.Lock()
	var listeners []*listener
	if l := c.links[m.SessionID]; l != nil {
		listeners = l.listeners
	}
	c.mu.Unlock()
	for _, l := range listeners {
		l.hear(string(m.Method), m.Params)
	}
}

// detach ends a link and its calls.
func (c *conn) detach(id target.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.links[id]
	if l == nil || id == "" {
		return
	}
	delete(c.links, id)
	close(l.gone)
	for _, k := range c.calls {
		if k.link == l {
			delete(c.calls, k.id)
			k.answer <- answered{err: errDetached}
		}
	}
}

// listen calls hear for events of these methods, and for others that somebody
// listens to. hear runs on the reader: it must neither block nor send commands.
func (l *link) listen(methods []string, hear func(method string, params jsonv2.Value)) (stop func()) {
	mine := &listener{hear}
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range methods {
		c.heard[m] = true
	}
	l.listeners = append(l.listeners[:len(l.listeners):len(l.listeners)], mine)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		var others []*listener
		for _, x := range l.listeners {
			if x != mine {
				others = append(others, x)
			}
		}
		l.listeners = others
	}
}

// Subscribe is for events that come once or seldom: of more than 16 that nobody
// takes the later ones are lost. It implements proto.Session.
func (l *link) Subscribe(method string) (<-chan jsonv2.Value, func()) {
	events := make(chan jsonv2.Value, 16)
	return events, l.listen([]string{method}, func(m string, params jsonv2.Value) {
		if m != method {
			return
		}
		select {
		case events <- params:
		default:
		}
	})
}
