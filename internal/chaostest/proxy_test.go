package chaostest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy forwards TCP connections, as long as it feels like it.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	links map[*link]bool
	mode  mode
	delay time.Duration
}

// mode is what a proxy does to connections.
type mode int

const (
	forward mode = iota
	refuse       // new ones are closed at once
	swallow      // what is sent goes nowhere, and nobody is told
)

// link is a connection and the one behind it.
type link struct {
	client, server net.Conn
	dead           bool // half-open, for good
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, links: map[*link]bool{}}
	go p.serve()
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(client)
	}
}

// connect joins a client to the target. A target that is down is a refusal.
func (p *proxy) connect(client net.Conn) {
	p.mu.Lock()
	now := p.mode
	p.mu.Unlock()
	if now == refuse {
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, dead: now == swallow}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	go p.pump(l, client, server)
	go p.pump(l, server, client)
}

// pump copies one direction of a link, late if told so.
func (p *proxy) pump(l *link, from, to net.Conn) {
	defer p.close(l)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		dead, delay := l.dead, p.delay
		p.mu.Unlock()
		if dead {
			continue
		}
		if delay > 0 {
			time.Sleep(delay) // the fault itself
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) close(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	_ = l.client.Close()
	_ = l.server.Close()
}

// cut closes all connections and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = refuse
	for l := range p.links {
		_ = l.client.Close()
		_ = l.server.Close()
	}
}

// halfOpen makes all connections, and new ones, such that either side believes
// in the other. They stay so after heal.
func (p *proxy) halfOpen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = swallow
	for l := range p.links {
		l.dead = true
	}
}

// slow delays whatever is sent, in either direction.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// heal lets new connections through.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.delay = forward, 0
}
