package egress

import (
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
	"testing"
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
		l.Begin(Visit{Replay: a, Record: true})
		for _, want := range []string{"200 1", "200 2", "200 2"} {
			if got, err := get(c, "https://a.example/"); got != want || err != nil {
				t.Errorf("got %s, want %s, %v", got, want, err)
			}
		}
		if post("r") != "r" || post("q") != "q" || post("other") != "q" {
			t.Error("answers to POST are confused")
		}
		if x := l.Report().Exchanges[3]; string(x.Request.Body) != "r" || string(x.Response.Body) != "r" || !x.Complete {
			t.Errorf("the replay is recorded as %+v", x)
		}
		if _, err := get(c, "http://a.example/gone"); err == nil || l.Report().Counts[CodeUnreachable] != 1 {
			t.Errorf("a failure is a failure again: %v", l.Report().Counts)
		}
		if _, err := get(c, "http://a.example/"); err == nil || l.Report().Counts[CodeReplay] != 1 {
			t.Errorf("what is not there: %v", l.Report().Counts)
		}
	}
}

func TestProblemsOfAPolicy(t *testing.T) {
	for _, name := range []string{"http://a.example", "a.example:80", "192.0.2.7", "*.a.example", ""} {
		if found := (Policy{Hosts: map[string]netip.Addr{name: netip.MustParseAddr("192.0.2.7")}}).Problems(); len(found) != 1 {
			t.Errorf("the host %q: %v", name, found)
		}
	}
	if _, err := New(Policy{Block: []string{"picture"}}); err == nil {
		t.Error("a bad policy was taken")
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
