package cdp_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/egress"
)

// hideout stands for a service that no page may reach: it counts connections,
// whatever is said on them.
func hideout(t *testing.T) (port string, reached *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, reached
}

// attackers are the ways that a page has to reach the hideout. Each says in the
// title how it went.
var attackers = []struct{ way, tries, script string }{
	{"fetch", "fetches it",
		`fetch(target, {mode: "no-cors"}).then(() => say("reached"), () => say("refused"))`},
	{"img", "shows it as a picture",
		`const i = new Image(); i.onload = () => say("reached"); i.onerror = () => say("refused"); i.src = target`},
	{"css", "takes it for a style sheet",
		`const l = document.createElement("link"); l.rel = "stylesheet"; l.onload = () => say("reached"); l.onerror = () => say("refused"); l.href = target; document.head.append(l)`},
	{"iframe", "has it in a frame",
		`const f = document.createElement("iframe"); f.onload = () => say("refused"); f.src = target; document.body.append(f)`},
	{"cross-site frame", "has a frame of another site that fetches it",
		`const f = document.createElement("iframe"); f.src = other + "/attack/fetch"; document.body.append(f); onmessage = (e) => say(e.data)`},
	{"form", "posts a form to it",
		`const f = document.createElement("form"); f.method = "post"; f.target = "x"; f.action = target; document.body.innerHTML = "<iframe name=x></iframe>"; document.body.append(f); document.querySelector("iframe").onload = () => say("refused"); f.submit()`},
	{"beacon", "sends a beacon",
		`navigator.sendBeacon(target, "x"); setTimeout(() => say("refused"), 300)`},
	{"websocket", "opens a WebSocket",
		`const w = new WebSocket(target.replace("http", "ws")); w.onopen = () => say("reached"); w.onerror = () => say("refused")`},
	{"events", "listens to server-sent events",
		`const e = new EventSource(target); e.onopen = () => say("reached"); e.onerror = () => { e.close(); say("refused") }`},
	{"worker", "fetches it in a worker",
		`const w = new Worker("/worker.js?" + encodeURIComponent(target)); w.onmessage = (e) => say(e.data)`},
	{"shared worker", "fetches it in a shared worker",
		`const w = new SharedWorker("/worker.js?" + encodeURIComponent(target)); w.port.onmessage = (e) => say(e.data)`},
	{"service worker", "fetches it in a service worker",
		`navigator.serviceWorker.onmessage = (e) => say(e.data); navigator.serviceWorker.register("/service.js?" + encodeURIComponent(target)).then(async (r) => { await navigator.serviceWorker.ready; r.active.postMessage(0) }, (e) => say("no worker: " + e))`},
	{"popup", "opens it in a window", // again and again, since most are closed before they ask
		`setInterval(() => open(target), 30); setTimeout(() => say("refused"), 300)`},
	{"preconnect", "asks for preconnect, prefetch and dns-prefetch",
		`for (const rel of ["preconnect", "prefetch", "dns-prefetch"]) { const l = document.createElement("link"); l.rel = rel; l.href = target; document.head.append(l) } setTimeout(() => say("refused"), 300)`},
	{"webrtc", "makes a WebRTC connection over a STUN server there (UDP)",
		`const p = new RTCPeerConnection({iceServers: [{urls: stun}]}); p.createDataChannel("x"); p.onicegatheringstatechange = () => p.iceGatheringState === "complete" && say("refused"); p.setLocalDescription()`},
}

const workerScript = `const target = decodeURIComponent(location.search.slice(1));
const go = (say) => fetch(target, {mode: "no-cors"}).then(() => say("reached"), () => say("refused"));
if (self.clients) { onactivate = (e) => e.waitUntil(clients.claim()); onmessage = (e) => e.waitUntil(go((r) => e.source.postMessage(r))) }
else if (self.onconnect !== undefined) { onconnect = (e) => go((r) => e.ports[0].postMessage(r)) }
else go((r) => postMessage(r))`

// attackSite serves the attackers on loopback. target is what they want.
func attackSite(t *testing.T, target, stun string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	var srv *httptest.Server
	mux.HandleFunc("GET /attack/{way}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		script := ""
		for _, a := range attackers {
			if a.way == r.PathValue("way") {
				script = a.script
			}
		}
		other := strings.Replace(srv.URL, "127.0.0.1", "other.localhost", 1)
		fmt.Fprintf(w, `<!doctype html><title>trying</title><body><script type=module>
const target = %q, stun = %q, other = %q;
const say = (s) => { document.title = s; if (parent !== self) parent.postMessage(s, "*") };
%s</script>`, target, stun, other, script)
	})
	for _, script := range []string{"/worker.js", "/service.js"} {
		mux.HandleFunc("GET "+script, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, workerScript)
		})
	}
	mux.HandleFunc("GET /redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>home</title>") })
	mux.HandleFunc("GET /last", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	mux.HandleFunc("GET /echo", echoWebSocket)
	srv = httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// echoWebSocket greets over a WebSocket (RFC 6455): one text frame.
func echoWebSocket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81\x05hello",
		base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = conn.Read(make([]byte, 100))
}

// withEgress starts a pool whose pages go through a proxy.
func withEgress(t *testing.T, p egress.Policy) *cdp.Pool {
	t.Helper()
	x, err := egress.New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	o := cdptest.Options(t)
	o.Egress, o.Sessions, o.NoSpare = x, 4, true
	return cdptest.Pool(t, o)
}

// title waits until the page has a title that is not "trying".
func title(ctx context.Context, s *cdp.Session) (string, error) {
	raw, err := s.Evaluate(ctx, `(async () => { while (document.title === "trying") await new Promise((f) => setTimeout(f, 20)); return document.title })()`, nil, 0)
	return strings.Trim(string(raw), `"`), err
}

// Whatever way a page takes to what the policy forbids, it does not get there.
// The site itself is on loopback too, so it is allowed by name and the hideout is
// not: a private service that no list has.
func TestNoWayAroundTheProxy(t *testing.T) {
	port, reached := hideout(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	site := attackSite(t, "http://127.0.0.1:"+port+"/", "stun:"+udp.LocalAddr().String())
	host := strings.TrimPrefix(site.URL, "http://")
	_, sitePort, _ := net.SplitHostPort(host)
	pool := withEgress(t, egress.Policy{Allow: []string{host, "other.localhost:" + sitePort}, Private: true})
	var running sync.WaitGroup
	for _, a := range attackers {
		way := a.way
		running.Go(func() {
			s, err := pool.Acquire(t.Context())
			if err != nil {
				t.Errorf("%s: %v", way, err)
				return
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := s.Navigate(ctx, site.URL+"/attack/"+way); err != nil {
				t.Errorf("%s: %v", way, err)
				return
			}
			if got, err := title(ctx, s); got != "refused" || err != nil {
				t.Errorf("%s: the page says %q, %v", way, got, err)
			}
			silent := way == "webrtc" || way == "preconnect"
			for !silent && s.Egress().Report().Refused() == 0 {
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
					t.Errorf("%s: the proxy refused nothing, so nobody tried", way)
					return
				}
			}
		})
	}
	running.Wait()
	if n := reached.Load(); n > 0 {
		t.Errorf("%d connections reached the hideout", n)
	}
	_ = udp.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _, err := udp.ReadFrom(make([]byte, 1500)); err == nil {
		t.Errorf("a packet of %d bytes reached the STUN server", n)
	}
}

// The page in the docs lists what is tried here, and nothing else.
func TestNetworkPageListsTheWays(t *testing.T) {
	want := "| a page | the address |\n|---|---|\n"
	for _, a := range attackers {
		want += "| " + a.tries + " | is not reached |\n"
	}
	page, err := os.ReadFile("../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "<!-- ways: TestNoWayAroundTheProxy -->\n")
	if got, _, _ := strings.Cut(after, "\n\n"); got+"\n" != want {
		t.Errorf("docs/network.md must have this table:\n%s", want)
	}
}

// Every spelling of an address, and every name that leads to it, is refused with
// the same typed error before a connection is made.
func TestNavigationToPrivateAddresses(t *testing.T) {
	port, reached := hideout(t)
	pool := withEgress(t, egress.Policy{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	s := cdptest.Acquire(t, pool)
	for _, host := range []string{"127.0.0.1", "localhost", "a.localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "0.0.0.0", "[::]", "inside.example.com", "inside.example.com.", "169.254.169.254", "10.0.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]", "224.0.0.1"} {
		for _, scheme := range []string{"http", "https"} {
			_, err := s.Navigate(t.Context(), scheme+"://"+host+":"+port+"/")
			var refused *egress.Error
			if !errors.As(err, &refused) || refused.Code != egress.CodeAddress {
				t.Errorf("%s://%s: %v", scheme, host, err)
			}
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d connections reached the hideout", n)
	}
}

// A name that changes its address after the first look: the page is there, and
// each later connection looks anew and checks what it then dials. 0.0.0.0, which
// Linux takes for loopback, stands for what is forbidden, because the site itself
// has to be on loopback.
func TestRebinding(t *testing.T) {
	site := attackSite(t, "", "")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(site.URL, "http://"))
	var looks atomic.Int32
	pool := withEgress(t, egress.Policy{Private: true, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if looks.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	}})
	s := cdptest.Acquire(t, pool)
	address := "http://rebind.example.com:" + port
	if _, err := s.Navigate(t.Context(), address+"/last"); err != nil || looks.Load() != 1 {
		t.Fatalf("%d looks, %v", looks.Load(), err)
	}
	raw, err := s.Evaluate(t.Context(), `fetch("/").then(() => "reached", () => "refused")`, nil, 0)
	if string(raw) != `"refused"` || err != nil || looks.Load() < 2 {
		t.Errorf("the page says %s after %d looks, %v", raw, looks.Load(), err)
	}
	var refused *egress.Error
	if _, err := s.Navigate(t.Context(), address); !errors.As(err, &refused) || refused.Code != egress.CodeAddress {
		t.Errorf("a navigation: %v", err)
	}
}

// A page that is allowed leads to one that is not.
func TestRedirectToForbidden(t *testing.T) {
	port, reached := hideout(t)
	site := attackSite(t, "", "")
	pool := withEgress(t, egress.Policy{Allow: []string{strings.TrimPrefix(site.URL, "http://")}, Private: true})
	s := cdptest.Acquire(t, pool)
	for _, to := range []string{"http://127.0.0.1:" + port + "/", "https://127.0.0.1:" + port + "/"} {
		_, err := s.Navigate(t.Context(), site.URL+"/redirect?to="+to)
		var refused *egress.Error
		if !errors.As(err, &refused) || refused.Code != egress.CodeHost || !strings.Contains(refused.URL, port) {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
	// The browser's own pages and files are refused before the browser is asked.
	for _, address := range []string{"file:///etc/hostname", "chrome://version", "view-source:" + site.URL, "javascript:1", "ftp://127.0.0.1:" + port} {
		if _, err := s.Navigate(t.Context(), address); !errors.Is(err, cdp.ErrScheme) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d connections reached the hideout", n)
	}
	// What is allowed works through the proxy, WebSockets too.
	if _, err := s.Navigate(t.Context(), site.URL); err != nil {
		t.Error(err)
	}
	raw, err := s.Evaluate(t.Context(), `new Promise((done) => { const w = new WebSocket(location.href.replace("http", "ws") + "echo"); w.onmessage = (e) => done(e.data); w.onerror = () => done("error") })`, nil, 0)
	if string(raw) != `"hello"` || err != nil {
		t.Errorf("websocket: %s, %v", raw, err)
	}
}
