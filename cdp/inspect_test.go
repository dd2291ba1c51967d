package cdp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/egress"
)

// secureSite is a site with TLS whose page makes each kind of request, and waits
// for all of them.
func secureSite(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(path, media, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			fmt.Fprint(w, body)
		})
	}
	serve("/{$}", "text/html", `<!doctype html><title>trying</title><img src=/p.svg><script type=module>
const wait = [
	new Promise((f) => { const w = new Worker("/worker.js"); w.onmessage = f }),
	new Promise((f) => { const w = new SharedWorker("/shared.js"); w.port.onmessage = f }),
	new Promise((f) => { const w = new WebSocket(location.href.replace("http", "ws") + "echo"); w.onmessage = f }),
	new Promise((f) => { const i = document.createElement("iframe"); i.src = location.href.replace("127.0.0.1", "other.localhost") + "frame"; onmessage = f; document.body.append(i) }),
	navigator.serviceWorker.register("/service.js").then(() => navigator.serviceWorker.ready),
];
await Promise.all(wait); document.title = "done"</script>`)
	serve("/p.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	serve("/worker.js", "text/javascript", `fetch("/from-worker").then(() => postMessage(1))`)
	serve("/shared.js", "text/javascript", `onconnect = (e) => fetch("/from-shared").then(() => e.ports[0].postMessage(1))`)
	serve("/service.js", "text/javascript", `oninstall = (e) => e.waitUntil(fetch("/from-service"))`)
	serve("/frame", "text/html", `<script>fetch("/from-frame").then(() => parent.postMessage(1, "*"))</script>`)
	for _, from := range []string{"worker", "shared", "service", "frame"} {
		serve("/from-"+from, "text/plain", "for "+from)
	}
	mux.HandleFunc("GET /echo", echoWebSocket)
	mux.HandleFunc("GET /trace", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Traceparent")) })
	srv := httptest.NewUnstartedServer(mux)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers that do not trust it are the test
	srv.StartTLS()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

func roots(srv *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(srv.Certificate())
	return p
}

// The proxy sees every request inside TLS, whoever in the browser made it, and the
// browser trusts its certificates. The certificate of the test is for 127.0.0.1
// and example.com only, so the frame on another host is one whose origin fails.
func TestRecordingInsideTLS(t *testing.T) {
	srv := secureSite(t)
	pool := withEgress(t, egress.Policy{Private: true, Roots: roots(srv), Trace: []string{"127.0.0.1:*"}, Hosts: nil})
	s := cdptest.Acquire(t, pool)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s.Egress().Begin(egress.Visit{Record: true, Traceparent: parent})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := s.Navigate(ctx, srv.URL+"/trace"); err != nil {
		t.Fatal(err)
	}
	if raw, err := s.Evaluate(ctx, "document.body.innerText", nil, 0); string(raw) != `"`+parent+`"` || err != nil {
		t.Errorf("the host was told %s, %v", raw, err)
	}
	if _, err := s.Navigate(ctx, srv.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Evaluate(ctx, `dispatchEvent(new MessageEvent("message"))`, nil, 0); err != nil { // for the frame, which cannot
		t.Fatal(err)
	}
	if got, err := title(ctx, s); got != "done" || err != nil {
		t.Fatalf("the page says %q, %v", got, err)
	}
	got := map[string]string{}
	for _, x := range s.Egress().Report().Exchanges {
		path := strings.TrimPrefix(x.URL, srv.URL)
		got[path] = fmt.Sprint(x.Status, " ", x.Complete, " ", x.Code)
		if strings.HasPrefix(path, "/from-") && string(x.Response.Body) != "for "+strings.TrimPrefix(path, "/from-") {
			t.Errorf("the body of %s is %q", path, x.Response.Body)
		}
		if x.Status == 200 && (x.Request.Proto != "HTTP/2.0" || x.RemoteAddr != "127.0.0.1" || x.Timings.Wait < 0) {
			t.Errorf("%s: %s with %s, %+v", path, x.Request.Proto, x.RemoteAddr, x.Timings)
		}
	}
	delete(got, "/favicon.ico")
	ok := "200 true "
	want := map[string]string{"/trace": ok, "/": ok, "/p.svg": ok, "/worker.js": ok, "/shared.js": ok, "/service.js": ok,
		"/from-worker": ok, "/from-shared": ok, "/from-service": ok, "/echo": "101 false ",
		strings.Replace(srv.URL, "127.0.0.1", "other.localhost", 1) + "/frame": "0 false certificate-invalid"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Nobody is fooled: the origin's certificate is checked by whoever ends TLS.
func TestInvalidCertificate(t *testing.T) {
	srv := secureSite(t)
	for name, p := range map[string]egress.Policy{"tunnel": {Private: true}, "inspected": {Private: true, Inspect: true}} {
		s := cdptest.Acquire(t, withEgress(t, p))
		_, err := s.Navigate(t.Context(), srv.URL)
		var refused *egress.Error
		inspected := errors.As(err, &refused) && refused.Code == egress.CodeCertificate
		if inspected != (name == "inspected") || name == "tunnel" && (err == nil || !strings.Contains(err.Error(), "net::ERR_CERT_AUTHORITY_INVALID")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A browser that somebody else runs was not told to trust the proxy's
// certificates.
func TestRecordingWithRemoteBrowser(t *testing.T) {
	srv := secureSite(t)
	address, _ := startRemote(t, cdptest.Options(t))
	x, err := egress.New(egress.Policy{Private: true, Roots: roots(srv)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	s := cdptest.Acquire(t, cdptest.Pool(t, cdp.Options{Endpoint: address, Egress: x, NoSpare: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.BeginVisit(ctx, egress.Visit{Record: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Navigate(ctx, srv.URL+"/trace"); err != nil {
		t.Fatal(err)
	}
	if raw, err := s.Evaluate(ctx, `fetch("/from-frame").then((r) => r.text())`, nil, 0); string(raw) != `"for frame"` || err != nil {
		t.Errorf("the page fetched %s, %v", raw, err)
	}
	recorded := ""
	for _, x := range s.Egress().Report().Exchanges {
		recorded += strings.TrimPrefix(x.URL, srv.URL) + " "
	}
	if !strings.Contains(recorded, "/trace ") || !strings.Contains(recorded, "/from-frame ") {
		t.Errorf("recorded: %s", recorded)
	}
	// Without inspection nobody but the browser checks certificates, so it must.
	if err := s.BeginVisit(ctx, egress.Visit{}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Navigate(ctx, secureSite(t).URL); err == nil || !strings.Contains(err.Error(), "net::ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("after the recorded visit: %v", err)
	}
}

// Types are blocked by what the request says, and where it says nothing by what
// the answer is.
func TestBlockedTypes(t *testing.T) {
	srv := secureSite(t)
	s := cdptest.Acquire(t, withEgress(t, egress.Policy{Private: true, Roots: roots(srv), Block: []string{"image", "websocket"}}))
	if _, err := s.Navigate(t.Context(), srv.URL+"/trace"); err != nil {
		t.Fatal(err)
	}
	const try = `(async () => [
		await new Promise((f) => { const i = new Image(); i.onload = () => f("image"); i.onerror = () => f(""); i.src = "/p.svg" }),
		await fetch("/p.svg").then(() => "fetched image", () => ""),
		await new Promise((f) => { const w = new WebSocket(location.href.replace("http", "ws").replace("trace", "echo")); w.onopen = () => f("socket"); w.onerror = () => f("") }),
		await fetch("/worker.js").then((r) => r.text())])()`
	raw, err := s.Evaluate(t.Context(), try, nil, 0)
	if want := `["","","","fetch(\"/from-worker\").then(() => postMessage(1))"]`; string(raw) != want || err != nil {
		t.Errorf("got %s, %v", raw, err)
	}
	if r := s.Egress().Report(); r.Counts[egress.CodeType] != 3 || r.Refused() != 0 {
		t.Errorf("report: %+v", r.Counts)
	}
}
