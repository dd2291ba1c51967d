package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// The failure of an address is found among many.
func TestFailureOfAnAddress(t *testing.T) {
	l, c := open(t, Policy{Allow: []string{"b.example"}})
	for i := range 2 * maxFailures {
		_, _ = get(c, fmt.Sprintf("http://a.example/%d", i))
	}
	n, _ := l.Failures(0)
	for _, address := range []string{"http://a.example/last?q", "https://a.example/"} {
		_, _ = get(c, address)
	}
	_, _ = get(c, "http://a.example/other")
	if n != 2*maxFailures || len(l.Report().Failures) != maxFailures {
		t.Errorf("%d failures, %d in the report", n, len(l.Report().Failures))
	}
	for address, found := range map[string]bool{"http://a.example/last?q#top": true, "https://a.example/path": true, "http://a.example/199": false, "http://b.example/": false, "%": false} {
		e := l.FailureOf(address, n)
		if (e != nil) != found || found && e.Code != CodeHost {
			t.Errorf("%s: %v", address, e)
		}
	}
	if _, last := l.Failures(n); last == nil || last.URL != "http://a.example/other" {
		t.Errorf("the last one: %v", last)
	}
	if _, last := l.Failures(n + 3); last != nil {
		t.Errorf("after all: %v", last)
	}
}

// A request that is refused is read first: a connection that is closed with
// something unread is reset, and the browser may not see why.
func TestRefusalOfALargeRequest(t *testing.T) {
	l, _ := open(t, Policy{Deny: []string{"a.example"}})
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 500_000
	head := fmt.Sprintf("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n", size)
	if _, err := conn.Write(append([]byte(head), make([]byte, size)...)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 403 ")) {
		t.Errorf("%q, %v", answer, err)
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
		"a denied address":         {Policy{Private: true, Deny: []string{"127.0.0.1"}}, "http://localhost:" + port, CodeHost},
		"a denied address, mapped": {Policy{Private: true, Deny: []string{"127.0.0.1"}}, "http://[::ffff:127.0.0.1]:" + port, CodeHost},
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
