package egress

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// originKey finds the origin that an inspected tunnel leads to.
type originKey struct{}

// origin is scheme and authority (host, and the port unless it is the scheme's).
type origin struct{ scheme, host string }

// inspected is a tunnel whose inside is served by us.
type inspected struct {
	net.Conn
	origin origin
}

// queue is a listener whose connections are handed in.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func newQueue(addr net.Addr) *queue {
	return &queue{conns: make(chan net.Conn), done: make(chan struct{}), addr: addr}
}

func (q *queue) push(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error { q.once.Do(func() { close(q.done) }); return nil }

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return q.addr }

// connect answers CONNECT: an opaque tunnel, or one that we look into.
func (l *Lease) connect(w http.ResponseWriter, r *http.Request) {
	v := l.current()
	u, e := tunnelURL(r.Host)
	if e == nil {
		e = l.admit(v, u)
	}
	if e != nil {
		v.fail(e)
		http.Error(w, e.Code, http.StatusForbidden)
		return
	}
	if l.proxy.policy.Inspect || v.Record || v.Replay != nil {
		l.inspect(w, u)
		return
	}
	v.begin()
	there, err := l.proxy.dialer.DialContext(r.Context(), "tcp", hostPort(u))
	if err != nil {
		e := failed(u, err)
		v.fail(e)
		http.Error(w, e.Code, http.StatusBadGateway)
		return
	}
	l.hold(there)
	defer l.release(there)
	if here := l.established(w); here != nil {
		defer l.release(here.Conn)
		l.splice(u, here, there)
	}
}

// tunnelURL reads what CONNECT names. Browsers open tunnels for https and wss,
// and for ws, whose usual port is 80.
func tunnelURL(authority string) (*url.URL, *Error) {
	u := &url.URL{Scheme: "https", Host: authority}
	host, port, err := net.SplitHostPort(authority)
	if err != nil || host == "" || port == "" {
		return nil, refuse(CodeHost, u, "want a host and a port")
	}
	switch port {
	case "80":
		u.Scheme, u.Host = "http", bracketed(host)
	case "443":
		u.Host = bracketed(host)
	}
	return u, nil
}

// authority is host and port of a tunnel, for what turned out to be inside: the port
// is left out if it is the scheme's. TLS may be spoken on port 80.
func authority(scheme string, u *url.URL) string {
	host, port, _ := net.SplitHostPort(hostPort(u))
	if port == map[string]string{"http": "80", "https": "443"}[scheme] {
		return bracketed(host)
	}
	return net.JoinHostPort(host, port)
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// hostPort is what is dialled for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "ws": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.TrimSuffix(u.Hostname(), "."), port)
}

// established takes the connection over and tells the browser that the tunnel
// stands. It returns nil if the browser is gone; else release its Conn.
func (l *Lease) established(w http.ResponseWriter) *peeked {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	_ = conn.SetDeadline(time.Time{})
	l.hold(conn)
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		l.release(conn)
		return nil
	}
	return &peeked{Conn: conn, r: buffered.Reader}
}

// peeked is a connection whose first bytes may have been read already.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// splice carries bytes both ways until one side ends or the visit cannot pay. It
// may last longer than the visit that opened it: browsers keep connections.
func (l *Lease) splice(u *url.URL, here, there net.Conn) {
	done := make(chan error, 2)
	carry := func(to, from net.Conn) {
		_, err := io.Copy(meteredWriter{to, l}, from)
		done <- err
	}
	go carry(there, here)
	go carry(here, there)
	err := <-done
	_, _ = here.Close(), there.Close()
	err = errors.Join(err, <-done)
	var e *Error
	if errors.As(err, &e) {
		v := l.current()
		v.fail(v.exceeded(u.Redacted()))
	}
}

// inspect ends TLS at the tunnel's beginning and hands the tunnel to the server
// of what is inside. A tunnel for ws has plain HTTP in it.
func (l *Lease) inspect(w http.ResponseWriter, u *url.URL) {
	here := l.established(w)
	if here == nil {
		return
	}
	conn := &heldConn{peeked: here, lease: l}
	_ = conn.SetReadDeadline(time.Now().Add(headerTimeout))
	first, err := here.r.Peek(1)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil {
		_ = conn.Close()
		return
	}
	const handshake = 0x16 // TLS record type (RFC 8446, section 5.1)
	if first[0] != handshake {
		l.tunnels.push(&inspected{conn, origin{"http", authority("http", u)}})
		return
	}
	cert, err := l.proxy.mint.certificate(strings.TrimSuffix(u.Hostname(), "."))
	if err != nil {
		_ = conn.Close()
		return
	}
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	l.tunnels.push(&inspected{secure, origin{"https", authority("https", u)}})
}

// heldConn leaves the lease's list when its server closes it.
type heldConn struct {
	*peeked
	lease *Lease
	once  sync.Once
}

func (c *heldConn) Close() error {
	c.once.Do(func() { c.lease.release(c.Conn) })
	return nil
}
