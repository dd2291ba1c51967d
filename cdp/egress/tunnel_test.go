package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// What is inside a tunnel goes to the tunnel's port, whatever is usual.
func TestTunnelsKeepTheirPort(t *testing.T) {
	for _, c := range [][3]string{
		{"a.example:80", "http", "a.example"}, {"a.example:443", "https", "a.example"}, {"a.example:80", "https", "a.example:80"}, {"a.example:443", "http", "a.example:443"},
		{"a.example:81", "http", "a.example:81"}, {"[2001:db8::1]:443", "https", "[2001:db8::1]"}, {"[2001:db8::1]:80", "https", "[2001:db8::1]:80"},
	} {
		u, e := tunnelURL(c[0])
		if e != nil {
			t.Fatal(e)
		}
		if got := authority(c[1], u); got != c[2] {
			t.Errorf("%s inside a tunnel to %s goes to %s", c[1], c[0], got)
		}
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
		(&Lease{visit: newVisit(Visit{}, 1<<30)}).splice(&url.URL{}, here, there)
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

// oneByte keeps a reader from taking what comes after the head.
type oneByte struct{ io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.Reader.Read(b[:1]) }
