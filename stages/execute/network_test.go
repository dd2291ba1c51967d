package execute_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/recording"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

// launch starts the stage as a run would, with browsers and a proxy of its own.
func launch(t *testing.T, config string) pipeline.Stage {
	t.Helper()
	cdptest.Binary(t)
	plan, problems := load(config)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[1].Build(t.Context(), pipelinetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.(pipeline.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	if err := made.(pipeline.Starter).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return made.(pipeline.Stage)
}

// shop is a site with everything that a capture has to keep: a redirect, a
// script, a picture, JSON that a script asks for with POST, a frame, a cookie, a
// request that fails, and a count of the requests.
func shop(t *testing.T) (url, gone string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone = "http://" + closed.Addr().String() + "/"
	_ = closed.Close()
	mux := http.NewServeMux()
	page := func(path, media, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			fmt.Fprint(w, body)
		})
	}
	mux.HandleFunc("GET /go", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s3cret", HttpOnly: true})
		http.Redirect(w, r, "/shop", http.StatusFound)
	})
	page("GET /shop", "text/html; charset=utf-8", `<!doctype html><title>Shop</title><h1>Shop</h1><img src=/p.svg><iframe src=/frame></iframe>
<script src=/app.js></script><p id=price></p>`)
	page("GET /app.js", "text/javascript", `fetch("/api", {method: "POST", body: JSON.stringify({q: "größe"})}).then((r) => r.json()).then((v) => { price.textContent = v.price; document.body.dataset.ready = 1 });
fetch("`+gone+`").catch(() => {}); console.log("hello", 1)`)
	page("GET /p.svg", "image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`)
	page("GET /frame", "text/html", `<p>frame</p>`)
	mux.HandleFunc("POST /api", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"price":%d}`, 41+asked.Load()/1000)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL, gone, asked
}

const shopSteps = `
steps:
  - navigate: ${{ item.body.url }}
  - waitForElement: "[data-ready]"
  - extract: { price: { css: "#price", number: true } }
`

// A capture has every exchange with its whole body, and a stage that replays it
// gives the same result without a network.
func TestCaptureAndReplay(t *testing.T) {
	url, gone, asked := shop(t)
	s := launch(t, "network: { private: true }\ncapture: [har, wacz, console, trace]\n"+shopSteps)
	it := pipelinetest.Item(map[string]any{"url": url + "/go"})
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	body := bodyOf(t, it)
	if body["price"] != 41 {
		t.Errorf("body: %v", body)
	}
	for _, name := range []string{"capture.har", "capture.wacz"} {
		r, err := recording.Parse(it.Artifact(name).Data)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, x := range r.Exchanges {
			key := x.Method + " " + strings.TrimPrefix(x.URL, url)
			got[key] = fmt.Sprint(x.Status, " ", len(x.Response.Body) > 0)
			if h := x.Response.Header.Get("Set-Cookie"); h != "" && !strings.HasPrefix(h, "session=[redacted]") {
				t.Errorf("%s: the cookie of %s is %s", name, key, h)
			}
		}
		want := map[string]string{"GET /go": "302 true", "GET /shop": "200 true", "GET /app.js": "200 true", "GET /p.svg": "200 true",
			"GET /frame": "200 true", "POST /api": "200 true", "GET " + gone: "0 false"}
		if name == "capture.wacz" {
			delete(want, "GET "+gone)
		}
		delete(got, "GET /favicon.ico")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(r.Pages) != 1 || r.Pages[0].Title != "Shop" || r.Pages[0].URL != url+"/shop" {
			t.Errorf("%s: pages %+v", name, r.Pages)
		}
		if bytes.Contains(it.Artifact(name).Data, []byte("s3cret")) {
			t.Errorf("%s has the cookie's value", name)
		}
	}
	checkConsole(t, it.Artifact("console.json"))
	checkTrace(t, it.Artifact("trace.json"))

	before := asked.Load()
	for _, name := range []string{"capture.har", "capture.wacz"} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, it.Artifact(name).Data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := launch(t, "network: { replay: \""+file+"\" }\n"+shopSteps)
		again := pipelinetest.Item(map[string]any{"url": url + "/go"})
		if err := s.Process(t.Context(), again); err != nil {
			t.Fatalf("replay of %s: %v", name, err)
		}
		if diff := cmp.Diff(body, bodyOf(t, again)); diff != "" {
			t.Errorf("replay of %s: %s", name, diff)
		}
		if d := again.Dependencies; len(d) != 2 || d[1].Name != "replay" || d[1].Digest != pipeline.DigestOf(it.Artifact(name).Data) {
			t.Errorf("dependencies: %+v", d)
		}
		err := s.Process(t.Context(), pipelinetest.Item(map[string]any{"url": url + "/other"}))
		if pipeline.CodeOf(err) != "not-in-replay" || pipeline.KindOf(err) != pipeline.Permanent {
			t.Errorf("what %s does not have: %v", name, err)
		}
	}
	if n := asked.Load(); n != before {
		t.Errorf("the replays made %d requests", n-before)
	}
}

func bodyOf(t *testing.T, it *pipeline.Item) map[string]any {
	t.Helper()
	v, err := it.Body.Value()
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func checkConsole(t *testing.T, a *pipeline.Artifact) {
	t.Helper()
	if a == nil || !strings.Contains(string(a.Data), `"hello 1"`) {
		t.Errorf("console.json: %+v", a)
	}
}

func checkTrace(t *testing.T, a *pipeline.Artifact) {
	t.Helper()
	var trace struct {
		Events []struct{ Name string } `json:"traceEvents"`
	}
	if a == nil {
		t.Fatal("there is no trace.json")
	}
	if err := json.Unmarshal(a.Data, &trace); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range trace.Events {
		seen[e.Name] = true
	}
	if !seen["ResourceSendRequest"] || !seen["Layout"] {
		t.Errorf("the trace has %d events and not those of a load", len(trace.Events))
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan struct{}, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	private := launch(t, "steps:\n  - navigate: ${{ item.body.url }}")
	for _, url := range []string{"http://" + l.Addr().String() + "/", "https://" + l.Addr().String() + "/", "http://169.254.169.254/latest/meta-data/"} {
		err := private.Process(t.Context(), visit(url))
		if pipeline.CodeOf(err) != "address-refused" || pipeline.KindOf(err) != pipeline.Permanent || !strings.Contains(err.Error(), "network.allow") {
			t.Errorf("%s: %v", url, err)
		}
	}
	url, _, _ := shop(t)
	some := launch(t, "network: { private: true, allow: [\""+strings.TrimPrefix(url, "http://")+"\"], deny: [bad.example], bytes: 8KiB }\nsteps:\n"+
		"  - navigate: ${{ item.body.url }}\n  - evaluate: { script: \"(u) => Promise.allSettled([fetch(u), new Promise((f) => setTimeout(f, 50))])\", args: [\"${{ item.body.then }}\"] }")
	if err := some.Process(t.Context(), visit("http://"+l.Addr().String())); pipeline.CodeOf(err) != "host-refused" || pipeline.KindOf(err) != pipeline.Permanent {
		t.Errorf("a host that is not allowed: %v", err)
	}
	it := pipelinetest.Item(map[string]any{"url": url + "/frame", "then": "http://" + l.Addr().String()})
	if err := some.Process(t.Context(), it); err != nil || it.Meta["network.refused"] != "1" {
		t.Errorf("a resource that is refused: %v, %v", it.Meta, err)
	}
	clicks := launch(t, "network: { private: true, allow: [\""+strings.TrimPrefix(url, "http://")+"\"] }\nsteps:\n"+
		"  - navigate: ${{ item.body.url }}\n  - evaluate: { script: \"(u) => { location.href = u }\", args: [\"${{ item.body.then }}\"] }\n  - waitForExpression: location.protocol === \"chrome-error:\"")
	err = clicks.Process(t.Context(), pipelinetest.Item(map[string]any{"url": url + "/frame", "then": "http://" + l.Addr().String()}))
	if pipeline.CodeOf(err) != "host-refused" || pipeline.KindOf(err) != pipeline.Permanent || !strings.Contains(err.Error(), "since the one before (evaluate, line 9)") ||
		!strings.Contains(err.Error(), "http://"+l.Addr().String()) {
		t.Errorf("a page that leaves for a forbidden one: %v", err)
	}
	select {
	case <-reached:
		t.Error("a connection was made")
	default:
	}
}

// An item whose bytes are used up fails at the step in which that happened, not
// at its timeout.
func TestBytesOfAnItem(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("text "), 200)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	s := launch(t, "network: { private: true, bytes: 64KiB }\nsteps:\n  - navigate: ${{ item.body.url }}\n    timeout: 1m")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Process(ctx, visit(srv.URL))
	if pipeline.CodeOf(err) != "network-bytes-exceeded" || pipeline.KindOf(err) != pipeline.Permanent || !strings.Contains(err.Error(), "test.yaml:8") {
		t.Errorf("got %v", err)
	}
}

func TestNetworkProblems(t *testing.T) {
	const steps = "\nsteps:\n  - navigate: x"
	for _, c := range []struct{ config, want string }{
		{"network: { allow: [\"http://a.example\"] }", `6:26 bad-value: "//a.example" is not a port`},
		{"network: { deny: [a.example, \"*\"] }", `6:36 bad-value: `},
		{"network: { block: [picture] }", `6:26 bad-value: "picture" is not a type`},
		{"network: { rate: { perHost: 2 } }", `6:35 bad-value: want a number of requests`},
		{"network: { rate: { perHost: 0/s } }", `6:35 bad-value: `},
		{"network: { robots: maybe }", `6:26 bad-value: `},
		{"network: { proxy: \"ftp://a\" }", `6:25 bad-value: want the URL of an http or https proxy`},
		{"network: { hosts: { a.example: b.example } }", `6:38 bad-value: "b.example" is not an address`},
		{"network: { hosts: { \"http://a.example\": 192.0.2.7 } }", `6:47 bad-value: "http://a.example" is not the name of a host`},
		{"captureFailed: { to: x }", `6:7 missing-key: nothing is captured`},
		{"capture: [har]\ncaptureFailed: { most: 3 }", `7:7 missing-key: the key "to" is required`},
		{"network: { privat: true }", `6:18 unknown-key: `},
		{"capture: [har, har]", `6:22 bad-value: har stands here twice`},
		{"capture: [pcap]", `6:17 bad-value: "pcap" cannot be captured`},
		{"capture: har", `6:16 wrong-type: want a list`},
		{"captureSecrets: yes please", `6:23 bad-value: `},
	} {
		_, problems := load(c.config + steps)
		if len(problems) != 1 {
			t.Errorf("%s\nwant one problem, got:\n%v", c.config, problems)
			continue
		}
		p := problems[0]
		if got := fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Code, p.Message); !strings.Contains(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.config, got, c.want)
		}
	}
}

func TestBadReplay(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"none.har": "", "text.har": "hello", "json.har": "{}", "zip.wacz": zipped(t)} {
		file := filepath.Join(dir, name)
		if data != "" {
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := recording.Parse([]byte(data)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	s := launch(t, "network: { replay: \""+filepath.Join(dir, "${{ item.body.file }}")+"\" }\nsteps:\n  - navigate: http://a.example/")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.har"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"none.har", "text.har", "pipe.har", "."} {
		err := s.Process(t.Context(), pipelinetest.Item(map[string]any{"file": name}))
		if pipeline.CodeOf(err) != "bad-replay" || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func zipped(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("x"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
