package egress

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ServeHTTP serves one request of the browser: CONNECT, a request for a whole URL,
// or one from inside a tunnel that is inspected.
func (l *Lease) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		l.connect(w, r)
		return
	}
	u := *r.URL
	if o, ok := r.Context().Value(originKey{}).(origin); ok {
		u.Scheme, u.Host = o.scheme, o.host
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	v := l.current()
	rec := v.begin()
	if rec != nil {
		rec.begin(r, &u)
	}
	e := l.charge(headSize(r.Method+r.RequestURI, r.Header), u.Redacted())
	if e == nil {
		e = l.prepare(v, r, &u)
	}
	if e != nil {
		l.fail(w, r, v, rec, e)
		return
	}
	if v.Replay != nil {
		l.replay(w, r, v, rec, &u)
		return
	}
	l.forward(w, r, v, rec, &u)
}

// admit checks what is known of a tunnel too.
func (l *Lease) admit(v *visit, u *url.URL) *Error {
	if e := l.proxy.listed(u); e != nil {
		return e
	}
	if v.spent() {
		return v.exceeded(u.Redacted())
	}
	return nil
}

// listed refuses what the lists of hosts do not allow.
func (x *Proxy) listed(u *url.URL) *Error {
	switch host := withoutDot(u); {
	case x.deny.Denies(host):
		return refuse(CodeHost, u, "the pipeline denies this host")
	case len(x.allow) > 0 && !x.allow.Allows(host):
		return refuse(CodeHost, u, "the pipeline does not allow this host")
	}
	return nil
}

// withoutDot returns the URL without the dot that may end a name: with it, it is
// the same host and would not be on any list.
func withoutDot(u *url.URL) *url.URL {
	host := strings.TrimSuffix(u.Hostname(), ".")
	if host == u.Hostname() {
		return u
	}
	c := *u
	c.Host = bracketed(host)
	if port := u.Port(); port != "" {
		c.Host += ":" + port
	}
	return &c
}

// prepare makes all checks before the address, and waits for the host's turn.
func (l *Lease) prepare(v *visit, r *http.Request, u *url.URL) *Error {
	if e := l.admit(v, u); e != nil {
		return e
	}
	if kind := requestType(r); l.blocks(kind) {
		return refuse(CodeType, u, "resources of the type %s are blocked", kind)
	}
	if v.Replay != nil {
		return nil
	}
	if l.proxy.robots != nil {
		if e := l.proxy.robots.check(r.Context(), u); e != nil {
			return e
		}
	}
	if err := l.proxy.limiter.wait(r.Context(), strings.ToLower(withoutDot(u).Hostname())); err != nil {
		return failed(u, err)
	}
	return nil
}

func (l *Lease) blocks(kind string) bool {
	return kind != "" && slices.Contains(l.proxy.policy.Block, kind)
}

// How much of a refused request's body is still read, and for how long.
const (
	maxDrained   = 1 << 20
	drainTimeout = time.Second
)

// fail ends a request without an answer of its origin. An answer of ours would
// pass for the origin's, so the browser gets one that it must not accept: two
// lengths that differ (RFC 9112, section 6.3). Just closing the connection would
// make it ask again, and so would closing it with the request half read.
func (l *Lease) fail(w http.ResponseWriter, r *http.Request, v *visit, rec *record, e *Error) {
	if !errors.Is(e, context.Canceled) { // pages change their minds
		v.fail(e)
	}
	if rec != nil {
		rec.finish(false, e)
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
	conn, _, err := c.Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 403 Refused\r\nContent-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
	_ = conn.Close()
}

// forward sends the request on and brings the answer back.
func (l *Lease) forward(w http.ResponseWriter, r *http.Request, v *visit, rec *record, u *url.URL) {
	p := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = u
			p.Out.Host = u.Host
			l.headers(p.Out.Header, v, u)
			if p.Out.Body != nil && p.Out.Body != http.NoBody {
				p.Out.Body = &metered{ReadCloser: p.Out.Body, lease: l, visit: v, url: u, rec: rec, request: true}
			}
		},
		Transport:     roundTripper{l, v, rec, u},
		FlushInterval: -1, // pages read streams
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			l.fail(w, r, v, rec, failed(u, err))
		},
	}
	p.ServeHTTP(w, r)
}

// headers changes what the origin is told.
func (l *Lease) headers(h http.Header, v *visit, u *url.URL) {
	h.Del("Proxy-Connection")
	if v.Traceparent != "" && l.proxy.trace.Allows(withoutDot(u)) {
		h.Set("Traceparent", v.Traceparent)
	}
	if !v.Record {
		return
	}
	// Readers of recordings know gzip; it is in the standard library.
	if strings.Contains(h.Get("Accept-Encoding"), "gzip") {
		h.Set("Accept-Encoding", "gzip")
	} else {
		h.Set("Accept-Encoding", "identity")
	}
}

// roundTripper exchanges one request and keeps the record of it.
type roundTripper struct {
	lease *Lease
	visit *visit
	rec   *record
	url   *url.URL
}

// RoundTrip implements http.RoundTripper.
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.rec != nil {
		r = r.WithContext(t.rec.trace(r.Context()))
		t.rec.sends(r)
	}
	resp, err := t.lease.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if kind := answerType(resp.Header); t.lease.blocks(kind) {
		_ = resp.Body.Close()
		return nil, refuse(CodeType, t.url, "resources of the type %s are blocked", kind)
	}
	if e := t.lease.charge(headSize(resp.Status, resp.Header), t.url.Redacted()); e != nil {
		_ = resp.Body.Close()
		return nil, e
	}
	if t.rec != nil {
		t.rec.answers(resp)
	}
	body := &metered{ReadCloser: resp.Body, lease: t.lease, visit: t.visit, url: t.url, rec: t.rec}
	resp.Body = body
	if both, ok := body.ReadCloser.(io.ReadWriteCloser); ok { // a WebSocket
		if body.rec != nil {
			body.rec.finish(false, nil) // its messages are no body
			body.rec = nil
		}
		resp.Body = &meteredBoth{metered: body, w: meteredWriter{both, t.lease}}
	}
	return resp, nil
}

// replay answers from the visit's recording.
func (l *Lease) replay(w http.ResponseWriter, r *http.Request, v *visit, rec *record, u *url.URL) {
	body, err := io.ReadAll(&metered{ReadCloser: r.Body, lease: l, visit: v, url: u, rec: rec, request: true})
	if err != nil {
		l.fail(w, r, v, rec, failed(u, err))
		return
	}
	x := v.next(r.Method, u, body)
	switch {
	case x == nil:
		l.fail(w, r, v, rec, refuse(CodeReplay, u, "the recording has no %s of it", r.Method))
		return
	case x.Status == http.StatusSwitchingProtocols:
		l.fail(w, r, v, rec, refuse(CodeReplay, u, "a recording has no messages of a WebSocket"))
		return
	case x.Status == 0:
		l.fail(w, r, v, rec, refuse(cmp.Or(x.Code, CodeUnreachable), u, "as it was recorded: %s", x.Failure))
		return
	}
	if rec != nil {
		rec.repeats(x)
	}
	h := w.Header()
	for name, values := range x.Response.Header {
		if !hopByHop(name) {
			h[name] = values
		}
	}
	h["Content-Length"] = nil
	if _, has := h["Date"]; !has {
		h["Date"] = nil // ours would differ from run to run
	}
	w.WriteHeader(x.Status)
	if r.Method != http.MethodHead {
		v.charge(len(x.Response.Body))
		_, _ = io.Copy(w, bytes.NewReader(x.Response.Body))
	}
}

func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}
