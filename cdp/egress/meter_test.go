package egress

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

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

// A connection that a browser keeps from one visit to the next is paid for by the
// visit that uses it.
func TestKeptConnectionsArePaidByTheirUser(t *testing.T) {
	o := serveOrigin(t, true, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 30_000)) })
	l, c := open(t, Policy{Private: true, Bytes: 100_000})
	// The tunnel is opaque: the certificate is the origin's own.
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trusting(o), ServerName: "example.com"}
	for visit := range 5 {
		l.Begin(Visit{})
		if _, err := get(c, o.URL); err != nil {
			t.Fatalf("visit %d: %v", visit, err)
		}
		if r := l.Report(); r.Bytes < 30_000 || visit > 0 && r.Requests > 0 {
			t.Errorf("visit %d: %d bytes, %d tunnels opened", visit, r.Bytes, r.Requests)
		}
	}
}

// Heads are bytes too: without them a page could fill the memory of a recording
// with requests that have no body.
func TestHeadsAreCounted(t *testing.T) {
	o := serveOrigin(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 10_000))
		w.WriteHeader(http.StatusNoContent)
	})
	l, c := open(t, Policy{Private: true, Bytes: 100_000})
	l.Begin(Visit{Record: true})
	answered := 0
	for range 20 {
		if _, err := get(c, o.URL+"/?"+strings.Repeat("q", 10_000)); err == nil {
			answered++
		}
	}
	if answered < 2 || answered > 5 || l.Report().Counts[CodeBytes] == 0 {
		t.Errorf("%d requests were answered, %v", answered, l.Report().Counts)
	}
}

// Of a WebSocket the opening is recorded, and nothing of what is said.
func TestWebSocketIsNotRecorded(t *testing.T) {
	o := serveOrigin(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.CopyN(conn, rw, 5) // an echo
	})
	l, _ := open(t, Policy{Private: true})
	l.Begin(Visit{Record: true})
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", o.URL)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	fmt.Fprint(conn, "hello")
	if said, err := io.ReadAll(r); string(said) != "hello" {
		t.Errorf("the echo is %q, %v", said, err)
	}
	report := l.Report()
	if len(report.Exchanges) != 1 || report.Bytes < 10 {
		t.Fatalf("%+v", report)
	}
	if x := report.Exchanges[0]; x.Status != http.StatusSwitchingProtocols || len(x.Response.Body) > 0 || x.Complete || x.Failure != "" {
		t.Errorf("recorded: %+v", x)
	}
}
