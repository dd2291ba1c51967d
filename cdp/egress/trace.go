package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// begin notes the request as the browser made it.
func (r *record) begin(req *http.Request, u *url.URL) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.clock.start = now
	r.x = Exchange{Started: now, Method: req.Method, URL: u.String(), Request: Message{Proto: req.Proto, Header: req.Header.Clone()}}
	r.x.Request.Header.Del("Proxy-Connection")
}

// sends notes the request as it goes to the origin.
func (r *record) sends(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.Request.Header = req.Header.Clone()
	r.x.Request.Header.Set("Host", req.Host)
}

// answers notes the head of the answer.
func (r *record) answers(resp *http.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x.Status = resp.StatusCode
	r.x.Response = Message{Proto: resp.Proto, Header: resp.Header.Clone()}
	r.x.Request.Proto = resp.Proto
}

// repeats notes an answer that comes from a recording.
func (r *record) repeats(x *Exchange) {
	r.mu.Lock()
	r.x.Status, r.x.Response = x.Status, x.Response
	r.mu.Unlock()
	r.finish(true, nil)
}

// keep appends to a body.
func (r *record) keep(request bool, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.x.Response
	if request {
		m = &r.x.Request
	}
	m.Body = append(m.Body, b...)
}

// trace notes the moments of the exchange.
func (r *record) trace(ctx context.Context) context.Context {
	at := func(when *time.Time) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*when = time.Now()
	}
	c := &r.clock
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { at(&c.dnsStart) },
		DNSDone:           func(httptrace.DNSDoneInfo) { at(&c.dnsDone) },
		ConnectStart:      func(string, string) { at(&c.connectStart) },
		ConnectDone:       func(string, string, error) { at(&c.connectDone) },
		TLSHandshakeStart: func() { at(&c.tlsStart) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { at(&c.tlsDone) },
		GotConn: func(info httptrace.GotConnInfo) {
			at(&c.got)
			host, _, _ := net.SplitHostPort(info.Conn.RemoteAddr().String())
			r.mu.Lock()
			defer r.mu.Unlock()
			r.x.RemoteAddr = host
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { at(&c.sent) },
		GotFirstResponseByte: func() { at(&c.first) },
	})
}
