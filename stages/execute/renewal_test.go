package execute_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/execute"
)

// door is a site behind a login whose sessions can be ended.
type door struct {
	logins atomic.Int64
	valid  atomic.Int64 // the session cookie that is let in
	broken atomic.Bool  // logging in does not help
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/login":
		n := d.logins.Add(1)
		if !d.broken.Load() {
			d.valid.Store(n)
		}
		http.SetCookie(w, &http.Cookie{Name: "s", Value: fmt.Sprint(n), HttpOnly: true, Path: "/"})
		_, _ = fmt.Fprint(w, "<h1>Welcome</h1>")
	case "/private":
		if c, err := r.Cookie("s"); err != nil || c.Value != fmt.Sprint(d.valid.Load()) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, "<h1>No</h1>")
			return
		}
		_, _ = fmt.Fprint(w, "<h1>Private</h1>")
	}
}

const renewing = `
onAuthError:
  run:
    - navigate: ${{ item.body.url + "/login" }}
  then: retry
steps:
  - navigate: ${{ item.body.url + "/private" }}
  - extract: { title: h1 }
`

func TestLoginIsRenewedOnceForAll(t *testing.T) {
	d := &door{}
	srv := httptest.NewServer(d)
	defer srv.Close()
	o := cdptest.Options(t)
	o.Sessions, o.Browsers = 4, 1
	s := startWith(t, cdptest.Pool(t, o), renewing)
	round := func(want int64) {
		t.Helper()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				it := pipelinetest.Item(map[string]any{"url": srv.URL})
				if err := s.Process(t.Context(), it); err != nil {
					t.Error(err)
				} else if body, _ := it.Body.Value(); body.(map[string]any)["title"] != "Private" {
					t.Errorf("the page is %v", body)
				}
			})
		}
		wg.Wait()
		if n := d.logins.Load(); n != want {
			t.Errorf("%d logins, want %d", n, want)
		}
	}
	round(1) // four items want a login at once
	round(1) // four more have it
	d.valid.Store(-1)
	round(2) // it is over for all of them
	d.broken.Store(true)
	d.valid.Store(-1)
	it := pipelinetest.Item(map[string]any{"url": srv.URL})
	if err := s.Process(t.Context(), it); pipeline.CodeOf(err) != "login-refused" || pipeline.KindOf(err) != pipeline.Retry {
		t.Errorf("a login that does not help: %v", err)
	}
}

func TestFailedLoginIsTheItemsFailure(t *testing.T) {
	srv := httptest.NewServer(&door{})
	defer srv.Close()
	s := start(t, strings.Replace(renewing, `"/login" }}`, `"/login" }}`+"\n    - waitForElement: \"#never\"\n      timeout: 700ms", 1))
	err := s.Process(t.Context(), pipelinetest.Item(map[string]any{"url": srv.URL}))
	var e *pipeline.Error
	if pipeline.CodeOf(err) != "element-not-found" || !errors.As(err, &e) || e.Pos.Line != 9 {
		t.Errorf("got %v", err)
	}
}

// With a session an item goes on where another with its key ended, and nobody
// else does.
func TestSessionOfAKey(t *testing.T) {
	url := serve(t)
	s := start(t, `
session: { key: "${{ item.body.user }}" }
steps:
  - navigate: ${{ item.body.url }}
  - evaluate: { script: "(u) => { const before = document.cookie; document.cookie = 'u=' + u; return before }", args: ["${{ item.body.user }}"], as: before }
`)
	for i, c := range []struct{ user, before string }{{"ada", ""}, {"bob", ""}, {"ada", "u=ada"}, {"bob", "u=bob"}} {
		it := pipelinetest.Item(map[string]any{"url": url, "user": c.user})
		if err := s.Process(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		if body, _ := it.Body.Value(); body.(map[string]any)["before"] != c.before {
			t.Errorf("visit %d of %s: %v", i, c.user, body)
		}
	}
	if err := s.Process(t.Context(), pipelinetest.Item(map[string]any{"url": url, "user": ""})); pipeline.CodeOf(err) != "empty-key" {
		t.Errorf("an empty key: %v", err)
	}
}

// Every isolation visits a page, and none shows one item's cookies to another.
func TestIsolationLevels(t *testing.T) {
	url := serve(t)
	for isolation, more := range map[string]string{
		"context": "", "page": "trustKey: us\n", "process": "", "profile": "profile: \"${{ item.body.user }}\"\n",
	} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, cdptest.Pool(t, cdptest.Options(t)), "isolation: "+isolation+"\n"+more+`
steps:
  - navigate: ${{ item.body.url }}
  - evaluate: { script: "() => { const before = document.cookie; document.cookie = 'u=1; max-age=100'; return before }", args: [x], as: before }
`)
			for i := range 2 {
				it := pipelinetest.Item(map[string]any{"url": url, "user": fmt.Sprint("user", i)})
				if err := s.Process(t.Context(), it); err != nil {
					t.Fatal(err)
				}
				if body, _ := it.Body.Value(); body.(map[string]any)["before"] != "" {
					t.Errorf("item %d sees %v", i, body)
				}
			}
		})
	}
}

func TestIsolationIsChecked(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"isolation: tab\n", "6:18 bad-value: "},
		{"isolation: page\n", `6:18 missing-key: isolation page needs the key "trustKey"`},
		{"isolation: profile\n", `6:18 missing-key: isolation profile needs the key "profile"`},
		{"trustKey: x\n", "6:17 bad-value: trustKey does not go with isolation context"},
		{"isolation: process\nsession: { key: x }\n", "7:16 bad-value: session does not go with isolation process"},
		{"browser: { endpoint: \"ws://10.1.2.3:9222/devtools/browser/0123456789abcdef\" }\n", "6:28 bad-value: the DevTools endpoint is refused: 10.1.2.3:9222 is not this machine"},
		{"onAuthError: { run: [] }\n", "6:27 empty-value: there is no step that logs in"},
		{"onAuthError: { run: [{ navigat: x }] }\n", `6:30 unknown-key: unknown key "navigat"`},
		{"onAuthError: { then: stop, run: [{ navigate: x }] }\n", "6:28 bad-value: "},
	} {
		_, problems := load(c.config + "steps:\n  - navigate: x")
		if len(problems) != 1 {
			t.Errorf("%s: want one problem, got:\n%v", c.config, problems)
			continue
		}
		if p := problems[0]; !strings.HasPrefix(fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Code, p.Message), c.want) {
			t.Errorf("%s\n got %d:%d %s: %s\nwant %s", c.config, p.Line, p.Col, p.Code, p.Message, c.want)
		}
	}
}

// However many keys there are, a login under way is not made a second time.
func TestLoginUnderWayIsRemembered(t *testing.T) {
	if execute.ForgetsRenewal() {
		t.Error("it was forgotten")
	}
}
