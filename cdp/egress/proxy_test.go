package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// origin serves a site on loopback, with TLS if secure.
func serveOrigin(t *testing.T, secure bool, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// open makes a proxy with one lease, and a client that goes through it as a
// browser would: trusting the proxy's key and, of the origins, nobody else.
func open(t *testing.T, p Policy) (*Lease, *http.Client) {
	t.Helper()
	x, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := x.Lease()
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr()}), DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
			if !x.mint.key.PublicKey.Equal(c.PeerCertificates[0].PublicKey) {
				return errors.New("this is not the proxy's key")
			}
			return nil
		}}}
	t.Cleanup(tr.CloseIdleConnections)
	return l, &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(b)), err
}

func trusting(servers ...*httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	for _, s := range servers {
		if c := s.Certificate(); c != nil {
			p.AddCert(c)
		}
	}
	return p
}

func TestForwards(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var seen http.Header
		o := serveOrigin(t, secure, func(w http.ResponseWriter, r *http.Request) {
			seen = r.Header.Clone()
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-After")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.RequestURI, body)
			w.Header().Set("X-After", "1")
		})
		l, c := open(t, Policy{Private: true, Inspect: true, Roots: trusting(o)})
		l.Begin(Visit{Record: true})
		resp, err := c.Post(o.URL+"/a%2Fb?q=%zz;x&y", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		host := strings.SplitN(o.URL, "//", 2)[1]
		want := "POST " + host + " /a%2Fb?q=%zz;x&y hello"
		if string(body) != want || err != nil || resp.StatusCode != http.StatusTeapot || resp.Trailer.Get("X-After") != "1" {
			t.Errorf("got %d %q %v, %v", resp.StatusCode, body, resp.Trailer, err)
		}
		for _, h := range []string{"X-Forwarded-For", "Proxy-Connection", "Via", "Forwarded"} {
			if seen.Get(h) != "" {
				t.Errorf("the origin was told %s: %s", h, seen.Get(h))
			}
		}
		r := l.Report()
		if len(r.Exchanges) != 1 || r.Requests < 1 || r.Bytes < int64(len(want)) {
			t.Fatalf("report: %+v", r)
		}
		x := r.Exchanges[0]
		if x.URL != o.URL+"/a%2Fb?q=%zz;x&y" || x.Status != http.StatusTeapot || string(x.Request.Body) != "hello" || string(x.Response.Body) != want || !x.Complete ||
			x.RemoteAddr != "127.0.0.1" || x.Timings.Connect < 0 || x.Timings.Wait < 0 || secure != (x.Timings.TLS >= 0) {
			t.Errorf("recorded: %+v", x)
		}
	}
}

// What is refused is refused with a code, and no bytes of ours pass for an answer
// of the origin.
func TestRefusals(t *testing.T) {
	var asked atomic.Int32
	o := serveOrigin(t, false, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	host := strings.TrimPrefix(o.URL, "http://")
	_, port, _ := net.SplitHostPort(host)
	broken := func(context.Context, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	for name, tt := range map[string]struct {
		policy Policy
		url    string
		code   string
	}{
		"loopback":                 {Policy{}, o.URL, CodeAddress},
		"localhost":                {Policy{}, "http://localhost:" + port, CodeAddress},
		"never a machine":          {Policy{Private: true}, "http://0.0.0.0:" + port, CodeAddress},
		"a name that leads inside": {Policy{Hosts: map[string]netip.Addr{"a.example": netip.MustParseAddr("127.0.0.1")}}, "http://a.example:" + port, CodeAddress},
		"not on the list":          {Policy{Private: true, Allow: []string{"a.example"}}, o.URL, CodeHost},
		"another port":             {Policy{Private: true, Allow: []string{"127.0.0.1"}}, o.URL, CodeHost},
		"denied":                   {Policy{Private: true, Allow: []string{host}, Deny: []string{"127.0.0.1"}}, o.URL, CodeHost},
		"denied with a dot":        {Policy{Private: true, Deny: []string{"localhost"}}, "http://localhost.:" + port, CodeHost},
		"denied in capitals":       {Policy{Private: true, Deny: []string{"localhost"}}, "http://LOCALHOST:" + port, CodeHost},
		"no such host":             {Policy{Resolve: broken}, "http://a.example/", CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			for _, url := range []string{tt.url, strings.Replace(tt.url, "http:", "https:", 1)} {
				for _, inspect := range []bool{false, true} {
					tt.policy.Inspect = inspect
					l, c := open(t, tt.policy)
					if got, err := get(c, url); err == nil {
						t.Errorf("%s was answered: %s", url, got)
					}
					r := l.Report()
					if len(r.Failures) != 1 || r.Failures[0].Code != tt.code || r.Counts[tt.code] != 1 {
						t.Errorf("%s: %v", url, r.Failures)
					}
				}
			}
		})
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were made", asked.Load())
	}
}

// A page that may go anywhere still cannot talk to the proxies, its own or its
// neighbour's, and what comes to a proxy directly is not forwarded.
func TestTheProxyIsNoTarget(t *testing.T) {
	l, c := open(t, Policy{Private: true})
	other, err := l.proxy.Lease()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []*Lease{l, other} {
		for _, scheme := range []string{"http", "https"} {
			if got, err := get(c, scheme+"://"+to.Addr()); err == nil {
				t.Errorf("answered: %s", got)
			}
		}
	}
	if n := l.Report().Counts[CodeAddress]; n != 4 {
		t.Errorf("%d refusals", n)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	if got, err := get(&http.Client{Transport: tr}, "http://"+l.Addr()+"/"); err != nil || !strings.HasPrefix(got, "400 ") {
		t.Errorf("a direct request: %s, %v", got, err)
	}
}

func TestBytesAreCounted(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	plain, secure := serveOrigin(t, false, endless), serveOrigin(t, true, endless)
	for name, tt := range map[string]struct {
		url     string
		inspect bool
	}{"http": {plain.URL, false}, "inspected": {secure.URL, true}} {
		l, c := open(t, Policy{Private: true, Bytes: 100_000, Inspect: tt.inspect, Roots: trusting(secure)})
		over := make(chan *Error, 2)
		l.Begin(Visit{Exceeded: func(e *Error) { over <- e }})
		if _, err := get(c, tt.url); err == nil {
			t.Errorf("%s: an endless answer ended", name)
		}
		if e := <-over; e.Code != CodeBytes {
			t.Errorf("%s: %v", name, e)
		}
		if r := l.Report(); r.Bytes < 100_000 || r.Bytes > 300_000 {
			t.Errorf("%s: %d bytes went over", name, r.Bytes)
		}
		if _, err := get(c, tt.url); err == nil {
			t.Errorf("%s: another request was answered", name)
		}
		if len(over) > 0 {
			t.Errorf("%s: it was told twice", name)
		}
		l.Begin(Visit{})
		if r := l.Report(); r.Bytes != 0 || len(r.Failures) > 0 {
			t.Errorf("%s: a new visit begins with %+v", name, r)
		}
	}
	// A tunnel that nobody looks into is counted too.
	l, _ := open(t, Policy{Private: true, Bytes: 100_000})
	over := make(chan *Error, 1)
	l.Begin(Visit{Exceeded: func(e *Error) { over <- e }})
	conn := tunnel(t, l, strings.TrimPrefix(plain.URL, "http://"))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	n, _ := io.Copy(io.Discard, conn)
	if e := <-over; e.Code != CodeBytes || n > 100_000 {
		t.Errorf("tunnel: %d bytes, %v", n, e)
	}
}

func tunnel(t *testing.T, l *Lease, to string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to)
	resp, err := http.ReadResponse(bufio.NewReaderSize(oneByte{conn}, 16), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("CONNECT: %v, %v", resp, err)
	}
	return conn
}

// oneByte keeps a reader from taking what comes after the head.
type oneByte struct{ io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.Reader.Read(b[:1]) }

// The bytes of another visit do not stop this one, and leases do not share.
func TestLeasesAreApart(t *testing.T) {
	o := serveOrigin(t, false, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	l, c := open(t, Policy{Private: true})
	first, err := get(c, o.URL)
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.proxy.Lease()
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: other.Addr()})}
	defer tr.CloseIdleConnections()
	second, err := get(&http.Client{Transport: tr}, o.URL)
	if err != nil || second == first {
		t.Errorf("two leases share the connection %s: %v", first, err)
	}
	if l.Report().Requests != 1 || other.Report().Requests != 1 {
		t.Errorf("requests: %d and %d", l.Report().Requests, other.Report().Requests)
	}
	other.Close()
	if _, err := get(&http.Client{Transport: tr}, o.URL); err == nil {
		t.Error("a closed lease answers")
	}
	if got, err := get(c, o.URL); err != nil || got != first {
		t.Errorf("the other one: %s, %v", got, err)
	}
}

func TestUpstreamProxy(t *testing.T) {
	o := serveOrigin(t, true, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	var mu sync.Mutex
	var asked []string
	up := serveOrigin(t, false, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		if r.Header.Get("Proxy-Authorization") != "Basic YWRhOnNlY3JldA==" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		splice(newVisit(Visit{}, 1<<30), &url.URL{}, here, there)
	})
	u, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ada", "secret")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(o.URL, "https://"))
	p := Policy{Private: true, Inspect: true, Roots: trusting(o), Upstream: u, Hosts: map[string]netip.Addr{"example.com": netip.MustParseAddr("127.0.0.1")}}
	_, c := open(t, p)
	if got, err := get(c, "https://example.com:"+port); got != "200 hello" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if len(asked) != 1 || asked[0] != "CONNECT 127.0.0.1:"+port+" Basic YWRhOnNlY3JldA==" {
		t.Errorf("the upstream was asked %q; it must be asked for the address that was checked", asked)
	}
	u.User = nil
	l, c := open(t, p)
	if got, err := get(c, "https://example.com:"+port); err == nil {
		t.Errorf("without a password: %s", got)
	}
	if f := l.Report().Failures; len(f) != 1 || !strings.Contains(f[0].Error(), "upstream proxy refused") {
		t.Errorf("failures: %v", f)
	}
	p.Private = false // the checks are made before the upstream is asked
	l, c = open(t, p)
	if _, err := get(c, "https://example.com:"+port); err == nil || l.Report().Counts[CodeAddress] != 1 {
		t.Errorf("a private address through the upstream: %v", l.Report().Failures)
	}
}

func TestTraceparentGoesToGrantedHosts(t *testing.T) {
	o := serveOrigin(t, false, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Traceparent")) })
	host := strings.TrimPrefix(o.URL, "http://")
	l, c := open(t, Policy{Private: true, Trace: []string{host}})
	l.Begin(Visit{Traceparent: "00-a-b-01"})
	_, port, _ := net.SplitHostPort(host)
	for url, want := range map[string]string{o.URL: "200 00-a-b-01", "http://localhost:" + port: "200 "} {
		if got, err := get(c, url); got != want || err != nil {
			t.Errorf("%s: %s, %v", url, got, err)
		}
	}
}

func TestRateOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Rate{Requests: 2, Per: time.Second})
		start := time.Now()
		for range 5 {
			if err := l.wait(t.Context(), "a.example"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("five requests at two a second took %v", took)
		}
		if err := l.wait(t.Context(), "b.example"); err != nil || time.Since(start) != 2*time.Second {
			t.Error("another host had to wait")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.wait(ctx, "a.example"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a wait that was given up: %v", err)
		}
	})
	if newLimiter(Rate{}) != nil {
		t.Error("no rate is a limit")
	}
}

// The proxy makes requests wait, and gives up with the browser.
func TestRequestsWait(t *testing.T) {
	var asked atomic.Int32
	o := serveOrigin(t, false, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	l, c := open(t, Policy{Private: true, PerHost: Rate{Requests: 1, Per: time.Hour}})
	if _, err := get(c, o.URL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("a second request was answered within the hour")
	}
	if n := asked.Load(); n != 1 || len(l.Report().Failures) > 0 {
		t.Errorf("%d requests, failures %v", n, l.Report().Failures)
	}
}

// Replays are in the order of the recording, by body where bodies differ.
func TestReplay(t *testing.T) {
	x := func(method, url, body, answer string) Exchange {
		return Exchange{Method: method, URL: url, Status: 200, Request: Message{Body: []byte(body)}, Complete: true,
			Response: Message{Header: http.Header{"Content-Type": {"text/plain"}, "Connection": {"close"}}, Body: []byte(answer)}}
	}
	a := NewArchive([]Exchange{x("GET", "https://a.example/", "", "1"), x("GET", "https://a.example/#top", "", "2"), x("POST", "https://a.example/", "q", "q"),
		x("POST", "https://a.example/", "r", "r"), {Method: "GET", URL: "http://a.example/gone", Failure: "no connection", Code: CodeUnreachable}})
	l, c := open(t, Policy{})
	post := func(body string) string {
		resp, err := c.Post("https://a.example/", "text/plain", strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	for range 2 { // each visit begins anew
		l.Begin(Visit{Replay: a})
		for _, want := range []string{"200 1", "200 2", "200 2"} {
			if got, err := get(c, "https://a.example/"); got != want || err != nil {
				t.Errorf("got %s, want %s, %v", got, want, err)
			}
		}
		if post("r") != "r" || post("q") != "q" || post("other") != "q" {
			t.Error("answers to POST are confused")
		}
		if _, err := get(c, "http://a.example/gone"); err == nil || l.Report().Counts[CodeUnreachable] != 1 {
			t.Errorf("a failure is a failure again: %v", l.Report().Counts)
		}
		if _, err := get(c, "http://a.example/"); err == nil || l.Report().Counts[CodeReplay] != 1 {
			t.Errorf("what is not there: %v", l.Report().Counts)
		}
	}
}

// Nothing that a browser, or whoever found the port, may say ends the proxy.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("CONNECT a.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01"))
	f.Add([]byte("CONNECT : HTTP/1.1\r\n\r\n"))
	f.Add([]byte("GET http://[::1%25lo]/ HTTP/1.1\r\nHost: a\r\n\r\n"))
	x, err := New(Policy{Inspect: true, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return nil, errors.New("nothing is resolved here")
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = x.Close() })
	l, err := x.Lease()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(bytes.Clone(data))
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		answer, _ := io.ReadAll(conn)
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) && !bytes.HasPrefix(data, []byte("CONNECT ")) {
			t.Errorf("%q was answered %q", data, answer)
		}
	})
}
