package egress

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// Lease is the way out of one browser context: a proxy on a port of its own.
type Lease struct {
	proxy     *Proxy
	addr      netip.AddrPort
	listener  net.Listener
	server    *http.Server // speaks to the browser
	inner     *http.Server // speaks to the browser inside tunnels that are inspected
	tunnels   *queue       // what inner accepts
	transport *http.Transport

	life context.Context
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	visit *visit
	conns map[net.Conn]struct{} // tunnels, which no server knows any more
}

const (
	headerTimeout = 30 * time.Second // of a request's head
	idleTimeout   = time.Minute
	maxHeader     = 256 << 10
)

func newLease(x *Proxy, listener net.Listener) *Lease {
	l := &Lease{
		proxy:    x,
		addr:     listener.Addr().(*net.TCPAddr).AddrPort(),
		listener: listener,
		tunnels:  newQueue(listener.Addr()),
		conns:    map[net.Conn]struct{}{},
		visit:    newVisit(Visit{}, x.policy.Bytes),
	}
	l.life, l.end = context.WithCancel(context.Background())
	quiet := log.New(io.Discard, "", 0) // browsers drop connections all the time
	l.server = &http.Server{Handler: l, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: quiet}
	l.inner = &http.Server{Handler: l, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: quiet,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, originKey{}, c.(*inspected).origin)
		}}
	l.transport = &http.Transport{
		DialContext:            x.dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: x.policy.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // the browser decodes; what is recorded is what was sent
		MaxIdleConnsPerHost:    6,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	return l
}

func (l *Lease) serve() {
	l.wg.Go(func() { _ = l.server.Serve(l.listener) })
	l.wg.Go(func() { _ = l.inner.Serve(l.tunnels) })
}

// Addr is the proxy's address for the browser context: host and port.
func (l *Lease) Addr() string { return l.addr.String() }

// Begin starts a visit: counters, records and the replay's place begin anew.
// The new one pays for what an earlier visit left running, connections that are
// kept alive among it, and does not record it.
func (l *Lease) Begin(v Visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.visit = newVisit(v, l.proxy.policy.Bytes)
}

// Report says what the current visit did so far.
func (l *Lease) Report() Report { return l.current().report() }

// Failures says how many requests of the visit had no answer so far, and which was
// the last one; nil if there was none since the first n.
func (l *Lease) Failures(since int) (n int, last *Error) {
	n, latest := l.current().since(since)
	if len(latest) > 0 {
		last = latest[0]
	}
	return n, last
}

// FailureOf returns the last failure, among those after the first since, of a
// request for an address or of the tunnel to its host; nil if there is none.
func (l *Lease) FailureOf(address string, since int) *Error {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	tunnel := url.URL{Scheme: u.Scheme, Host: u.Host}
	u.Fragment, u.RawFragment = "", ""
	_, latest := l.current().since(since)
	for _, e := range latest {
		if e.URL == tunnel.String() || e.URL == u.Redacted() {
			return e
		}
	}
	return nil
}

// charge lets the visit of this moment pay, and returns why it cannot.
func (l *Lease) charge(n int, url string) *Error {
	v := l.current()
	if v.charge(n) {
		return nil
	}
	return v.exceeded(url)
}

func (l *Lease) current() *visit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.visit
}

// Close ends the lease with every connection of it.
func (l *Lease) Close() {
	l.proxy.mu.Lock()
	delete(l.proxy.leases, l.addr)
	l.proxy.mu.Unlock()
	l.end()
	_ = l.tunnels.Close()
	_ = l.server.Close()
	_ = l.inner.Close()
	l.mu.Lock()
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.transport.CloseIdleConnections()
}

// hold keeps a connection to be closed with the lease; release forgets it.
func (l *Lease) hold(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	if l.life.Err() != nil {
		_ = c.Close()
	}
}

func (l *Lease) release(c net.Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	_ = c.Close()
}
