package execute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/examples/capture/site"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/pipeline/pipelinetest"
	"github.com/waybill-dev/waybill/stages/execute"
)

func serve(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(site.Handler())
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// start loads the config and makes the stage with the browser that the tests
// share; TestExercise starts one of its own.
func start(t *testing.T, config string) pipeline.Stage {
	t.Helper()
	return startWith(t, shared.Pool(t), config)
}

// startWith makes the stage with these browsers.
func startWith(t *testing.T, pool *cdp.Pool, config string) pipeline.Stage {
	t.Helper()
	plan, problems := load(config)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[1].Build(t.Context(), pipelinetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	execute.SetPool(made.(pipeline.Stage), pool)
	return made.(pipeline.Stage)
}

func visit(url string) *pipeline.Item {
	return pipelinetest.Item(map[string]any{"url": url, "keep": 1})
}

func TestExercise(t *testing.T) {
	cdptest.Binary(t)
	url := serve(t)
	pipelinetest.Exercise(t, execute.Def(),
		pipelinetest.Config("network: { private: true }\nsteps:\n  - navigate: ${{ item.body.url }}"),
		pipelinetest.NewItem(func() *pipeline.Item { return visit(url) }),
		pipelinetest.BadItem(func() *pipeline.Item { return visit("file:///etc/hostname") }))
}

func TestCapture(t *testing.T) {
	url := serve(t)
	s := start(t, `
steps:
  - navigate: ${{ item.body.url }}
  - waitForElement: { selectors: ["body:not([aria-busy=true])"] }
  - extract:
      title: h1
      names: { css: .name, all: true }
      price: { css: .price, number: true }
      links: { xpath: "//header/a", attr: href, all: true }
      gone: { css: "#gone", optional: true }
  - evaluate: { script: "(a) => a + document.querySelectorAll('li').length", args: ["${{ item.body.keep }}"], as: sum }
  - html: page.html
  - screenshot: { as: page.png, fullPage: true }
  - screenshot: { as: item.jpg, selector: "#items li" }
  - console: console.json
  - assert: { selector: h1, visible: true, expression: "items.length === undefined", url: "*/list", status: 200, noPageErrors: true }
`)
	it := visit(url + "/moved")
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	body, err := it.Body.Value()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"url": url + "/moved", "keep": 1, "title": "Instruments in stock", "price": 148, "sum": 6, "gone": nil,
		"names": []any{"Sextant", "Log line", "Chronometer", "Lead and line", "Almanac"},
		"links": []any{"/list", "/slow", "/login"},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"status": "200", "url": url + "/list"}, it.Meta); diff != "" {
		t.Error(diff)
	}
	if page := it.Artifact("page.html"); page == nil || !bytes.Contains(page.Data, []byte("Chronometer")) || page.MediaType != "text/html; charset=utf-8" {
		t.Errorf("page.html: %.200v", page)
	}
	if img, err := png.Decode(bytes.NewReader(it.Artifact("page.png").Data)); err != nil || img.Bounds().Dx() != 1280 {
		t.Errorf("page.png: %v", err)
	}
	if jpg := it.Artifact("item.jpg"); jpg.MediaType != "image/jpeg" || !bytes.HasPrefix(jpg.Data, []byte{0xff, 0xd8}) {
		t.Errorf("item.jpg is %s", jpg.MediaType)
	}
	if c := it.Artifact("console.json"); !json.Valid(c.Data) {
		t.Errorf("console.json: %s", c.Data)
	}
	if d := it.Dependencies; len(d) != 1 || d[0].Name != "browser" || d[0].Annotations["version"] == "" || !strings.HasPrefix(d[0].Annotations["flags"], "sha256:") {
		t.Errorf("dependencies: %+v", d)
	}
}

func TestLogin(t *testing.T) {
	url := serve(t)
	s := start(t, `
steps:
  - navigate: ${{ item.body.url }}
  - type: { selectors: ["#user"], text: ada }
  - type: { selectors: ["#password"], value: "${{ item.body.password }}", clear: true }
  - click: { selectors: ["#none", "button[type=submit]"] }
  - assert: { selector: "#welcome", url: "*/welcome", message: "not let in" }
`)
	it := pipelinetest.Item(map[string]any{"url": url + "/login", "password": site.Password()})
	if err := s.Process(t.Context(), it); err != nil {
		t.Error(err)
	}
	it = pipelinetest.Item(map[string]any{"url": url + "/login", "password": "wrong"})
	err := s.Process(t.Context(), it)
	if pipeline.CodeOf(err) != "assert-failed" || !strings.Contains(err.Error(), "not let in") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	// The next item begins without the cookie of the first.
	s2 := pipelinetest.Item(map[string]any{"url": url + "/welcome", "password": "x"})
	if err := s.Process(t.Context(), s2); pipeline.CodeOf(err) != "assert-failed" {
		t.Errorf("a cookie outlived its item: %v", err)
	}
}

func TestFailuresAreTypedAndPlaced(t *testing.T) {
	url := serve(t)
	for _, c := range []struct {
		name, path, step string
		kind             pipeline.Kind
		code, text       string
	}{
		{"status", "/missing", "assert: { status: 200-399 }", pipeline.Permanent, "assert-failed", "the status is 404"},
		{"page error", "/error", "assert: { noPageErrors: true }", pipeline.Permanent, "assert-failed", "tides is not defined"},
		{"element", "/", "waitForElement: { selectors: [\"#no\"] }\n    timeout: 700ms", pipeline.Retry, "element-not-found", `"#no"`},
		{"extract", "/", "extract: { x: \"#no\" }", pipeline.Retry, "element-not-found", "nothing to extract for x"},
		{"slow", "/", "navigate: ${{ item.body.url + 'slow' }}\n    timeout: 300ms", pipeline.Retry, "timeout", "navigation to"},
		{"script", "/", "evaluate: { script: \"throw new Error('x')\" }", pipeline.Permanent, "script-failed", "x"},
		{"selector", "/", "click: \"##\"", pipeline.Permanent, "bad-selector", "##"},
		{"scheme", "/", "navigate: file:///etc/hostname", pipeline.Permanent, "scheme-refused", "file:"},
		{"refused", "/", "navigate: http://127.0.0.1:9/", pipeline.Permanent, "navigation-failed", "net::ERR"},
		{"expected", "/", "navigate: { url: \"${{ item.body.url + 'missing' }}\", expectStatus: 200 }", pipeline.Permanent, "unexpected-status", "answered 404"},
		{"name", "/", "html: ../up.html", pipeline.Permanent, "bad-name", "../up.html"},
		{"expression", "/", "navigate: ${{ item.body.nothing }}", pipeline.Permanent, "expression", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, "stepTimeout: 20s\nsteps:\n  - navigate: { url: \"${{ item.body.url }}\" }\n    timeout: 10s\n  - "+c.step)
			err := s.Process(t.Context(), visit(url+c.path))
			var e *pipeline.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != c.kind || e.Code != c.code || !strings.Contains(e.Error(), c.text) {
				t.Errorf("got %v %s: %v", e.Kind, e.Code, e)
			}
			if e.Pos.Line != 10 || e.Pos.File != "test.yaml" {
				t.Errorf("the error is placed at %v", e.Pos)
			}
		})
	}
}

func TestOptionalStepMayFail(t *testing.T) {
	url := serve(t)
	s := start(t, "steps:\n  - navigate: ${{ item.body.url }}\n  - click: \"#cookie-banner\"\n    optional: true\n    timeout: 50ms\n  - extract: { title: h1 }")
	if err := s.Process(t.Context(), visit(url)); err != nil {
		t.Error(err)
	}
}

func TestBudgetIsCharged(t *testing.T) {
	url := serve(t)
	s := start(t, "steps:\n  - navigate: ${{ item.body.url }}\n  - screenshot: page.png")
	it := visit(url)
	it.Budget = pipeline.NewBudget(0, 1<<20)
	if err := s.Process(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if got, want := it.Budget.Spent(pipeline.UnitIO), int64(len(it.Artifact("page.png").Data)); got != want {
		t.Errorf("charged %d bytes of %d", got, want)
	}
	it = visit(url)
	it.Budget = pipeline.NewBudget(0, 100)
	if err := s.Process(t.Context(), it); pipeline.CodeOf(err) != "budget-exceeded" || it.Artifact("page.png") != nil {
		t.Errorf("beyond the budget: %v", err)
	}
}

func TestCancelledItem(t *testing.T) {
	url := serve(t)
	s := start(t, "steps:\n  - navigate: ${{ item.body.url }}\n  - waitForElement: \"#never\"")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Process(ctx, visit(url)); pipeline.KindOf(err) != pipeline.Cancelled {
		t.Errorf("got %v", err)
	}
}

func TestNoBrowserIsOneClearLine(t *testing.T) {
	plan, problems := load("browser: { path: /no/such/chrome }\nsteps:\n  - navigate: x")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[1].Build(t.Context(), pipelinetest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	defer made.(pipeline.Closer).Close()
	err = made.(pipeline.Starter).Start(t.Context())
	if pipeline.CodeOf(err) != "no-browser" || !strings.Contains(err.Error(), cdp.Install) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// The folder for browsers comes from the environment of the stage, and one that
// cannot be used is named together with the way out.
func TestFolderForProfiles(t *testing.T) {
	cdptest.Binary(t)
	env := pipelinetest.Env(t)
	env.RuntimeDir = filepath.Join(env.RuntimeDir, "file")
	if err := os.WriteFile(env.RuntimeDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plan, problems := load("steps:\n  - navigate: x")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made, err := plan.Stages[1].Build(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer made.(pipeline.Closer).Close()
	err = made.(pipeline.Starter).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), env.RuntimeDir) || !strings.Contains(err.Error(), "WAYBILL_RUNTIME_DIR") {
		t.Errorf("start: %v", err)
	}
	if f := execute.Probe().Run(t.Context(), env); f.Status != "fail" || !strings.Contains(f.Hint, "WAYBILL_RUNTIME_DIR") {
		t.Errorf("probe: %+v", f)
	}
}

func TestProbe(t *testing.T) {
	cdptest.Binary(t)
	if f := execute.Probe().Run(t.Context(), pipelinetest.Env(t)); f.Status != "ok" || !strings.Contains(f.Detail, "seccomp") {
		t.Errorf("%+v", f)
	}
}
