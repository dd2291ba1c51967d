package execute_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp/recording"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
)

// trap listens where no page may go.
func trap(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Errorf("%s was reached", c.LocalAddr())
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

// A page that leaves for a refused one fails the step that led there, or the next,
// which names it.
func TestPageThatLeavesForARefusedOne(t *testing.T) {
	forbidden := trap(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<h1>Page</h1><a href="%[1]s">link</a><form action="%[1]s" method=post><input id=q name=q></form><script>
function later() { setTimeout(() => { location.href = "%[1]s" }, 50) }</script>`, forbidden)
	}))
	t.Cleanup(srv.Close)
	s := launch(t, "network: { private: true, allow: [\""+strings.TrimPrefix(srv.URL, "http://")+`"] }
steps:
  - navigate: ${{ item.body.url }}
  - click: a
    when: item.body.how == "link"
  - press: { key: Enter, selectors: "#q" }
    when: item.body.how == "form"
  - evaluate: later()
    when: item.body.how == "timer"
  - waitForExpression: location.protocol === "chrome-error:"
    when: item.body.how == "timer"
  - click: a
    optional: true
    when: item.body.how == "optional"
  - waitForElement: h2
    timeout: 1s
`)
	for how, c := range map[string]struct {
		line       int
		code, want string
	}{
		"link":     {9, "host-refused", ""},
		"form":     {11, "host-refused", ""},
		"timer":    {15, "host-refused", "since the one before (evaluate, line 13)"},
		"optional": {20, "element-not-found", "requests of the page were refused (1)"},
	} {
		err := s.Process(t.Context(), pipelinetest.Item(map[string]any{"url": srv.URL, "how": how}))
		if pipeline.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), forbidden) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v", how, err)
		}
		if !strings.HasPrefix(fmt.Sprint(err), fmt.Sprintf("test.yaml:%d:", c.line)) {
			t.Errorf("%s: the place is another: %v", how, err)
		}
	}
}

// Whatever items share, each goes through the proxy under its own name: what is
// refused, recorded and paid for is its own, and a capture has no exchange of
// another item.
func TestIsolationAndNetwork(t *testing.T) {
	forbidden := trap(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			seen := ""
			for _, c := range r.Cookies() {
				seen += c.Name + " "
			}
			http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1", MaxAge: 3600})
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<h1>%s</h1><script>fetch(%q).catch(() => document.body.dataset.ready = 1)</script>`, strings.TrimSpace(seen), forbidden)
		case "/large":
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write(bytes.Repeat([]byte("text "), 40_000))
		}
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	network := "\nnetwork: { private: true, allow: [\"" + strings.TrimPrefix(srv.URL, "http://") + "\"], bytes: 100KiB }\ncapture: [har]\nsteps:\n" +
		"  - navigate: ${{ item.body.url }}\n  - waitForElement: \"[data-ready]\"\n  - extract: { cookies: h1 }\n"
	for name, c := range map[string]struct {
		config string
		again  string // the cookies that a second item with the same key has
	}{
		"context": {"isolation: context", ""},
		"page":    {"isolation: page\ntrustKey: ${{ item.meta.key }}", ""},
		"session": {"session: { key: \"${{ item.meta.key }}\" }", "kept"},
		"profile": {"isolation: profile\nprofile: ${{ item.meta.key }}\nbrowser: { profiles: PROFILES }", "kept"},
		"process": {"isolation: process", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "waybill-profiles-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
			s := launch(t, strings.ReplaceAll(c.config, "PROFILES", dir)+network)
			for i, v := range []struct{ key, path, cookies, code string }{
				{"a", "/?item=0", "", ""}, {"a", "/large?item=1", "", "network-bytes-exceeded"}, {"a", "/?item=2", c.again, ""}, {"b", "/?item=3", "", ""},
			} {
				it := pipelinetest.Item(map[string]any{"url": srv.URL + v.path})
				it.Meta = map[string]string{"key": v.key}
				err := s.Process(t.Context(), it)
				if pipeline.CodeOf(err) != v.code {
					t.Fatalf("item %d: %v", i, err)
				}
				if err != nil {
					continue
				}
				if got := bodyOf(t, it)["cookies"]; got != v.cookies {
					t.Errorf("item %d has the cookies %q, want %q", i, got, v.cookies)
				}
				if it.Meta["network.refused"] != "1" {
					t.Errorf("item %d: meta %v", i, it.Meta)
				}
				checkOwn(t, it, srv.URL+v.path, forbidden)
			}
		})
	}
}

// checkOwn sees that an item's capture has its page, its refusal, and nothing else.
func checkOwn(t *testing.T, it *pipeline.Item, page, forbidden string) {
	t.Helper()
	r, err := recording.Parse(it.Artifact("capture.har").Data)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, x := range r.Exchanges {
		if !strings.HasSuffix(x.URL, "/favicon.ico") {
			got[x.URL] = x.Status
		}
	}
	if diff := cmp.Diff(map[string]int{page: 200, forbidden: 0}, got); diff != "" {
		t.Errorf("capture of %s: %s", page, diff)
	}
	if len(r.Pages) != 1 {
		t.Errorf("pages of %s: %+v", page, r.Pages)
	}
}

// The captures of an item that failed are files, which its error names.
func TestCaptureOfAFailedItem(t *testing.T) {
	url, _, _ := shop(t)
	dir := filepath.Join(t.TempDir(), "failed")
	s := launch(t, "network: { private: true }\ncapture: [har, wacz, console, trace]\ncaptureFailed: { to: \""+dir+"\", most: 2 }\n"+
		"steps:\n  - navigate: ${{ item.body.url }}\n  - waitForElement: \"[data-ready]\"\n  - assert: { title: \"${{ item.body.title }}\" }\n")
	process := func(id string) error {
		it := pipelinetest.Item(map[string]any{"url": url + "/go", "title": "Other"})
		it.ID = id
		err := s.Process(t.Context(), it)
		if pipeline.CodeOf(err) != "assert-failed" || pipeline.KindOf(err) != pipeline.Permanent || !strings.HasPrefix(err.Error(), "test.yaml:12:") {
			t.Errorf("%s: %v", id, err)
		}
		if len(it.Artifacts) > 0 {
			t.Errorf("%s has artifacts", id)
		}
		return err
	}
	for range 2 { // the second attempt replaces the first
		if err := process("shop/../1"); !strings.Contains(err.Error(), "captured (har, wacz, console, trace): "+filepath.Join(dir, "shop%2F..%2F1.*")) {
			t.Errorf("%v", err)
		}
	}
	_ = process("..")
	if err := process("3"); !strings.Contains(err.Error(), "no capture is kept: 2 failed items have one") {
		t.Errorf("%v", err)
	}
	// Their traces have ended: a browser makes one at a time.
	it := pipelinetest.Item(map[string]any{"url": url + "/go", "title": "Shop"})
	if err := s.Process(t.Context(), it); err != nil {
		t.Errorf("an item after them: %v", err)
	} else {
		checkTrace(t, it.Artifact("trace.json"))
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
		names = append(names, f.Name())
	}
	want := []string{"...console.json", "...har", "...trace.json", "...wacz", "shop%2F..%2F1.console.json", "shop%2F..%2F1.har", "shop%2F..%2F1.trace.json", "shop%2F..%2F1.wacz"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for _, ending := range []string{".har", ".wacz"} {
		data, err := os.ReadFile(filepath.Join(dir, "shop%2F..%2F1"+ending))
		if err != nil {
			t.Fatal(err)
		}
		r, err := recording.Parse(data)
		if err != nil || len(r.Exchanges) < 6 || strings.Contains(string(data), "s3cret") {
			t.Errorf("%s: %d exchanges, %v", ending, len(r.Exchanges), err)
		}
	}
	for _, ending := range []string{".console.json", ".trace.json"} {
		data, err := os.ReadFile(filepath.Join(dir, "shop%2F..%2F1"+ending))
		if err != nil || !json.Valid(data) {
			t.Errorf("%s: %v", ending, err)
		}
	}
}
