package cdp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/color"
	"image/png"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// open returns a session on a page of the fixture, with a deadline for all.
func open(t *testing.T, path string) (context.Context, *cdp.Session) {
	t.Helper()
	url, _ := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	if _, err := s.Navigate(ctx, url+path); err != nil {
		t.Fatal(err)
	}
	return ctx, s
}

func TestNavigate(t *testing.T) {
	url, _ := serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	for _, c := range []struct {
		path, end string
		status    int
		redirects []string
	}{
		{"/", "/", 200, nil},
		{"/#part", "/#part", 200, nil}, // inside the document
		{"/moved", "/next", 200, []string{url + "/moved", url + "/moved2"}},
		{"/js", "/next", 200, nil},
		{"/frame", "/frame", 200, nil}, // the redirects of its parts are not its own
		{"/absent", "/absent", 404, nil},
		{"/empty500", "/empty500", 500, nil},
		{"/alert", "/alert", 200, nil},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got, err := s.Navigate(ctx, url+c.path)
		cancel()
		want := cdp.Navigation{Page: cdp.Page{URL: url + c.end, Status: c.status}, Redirects: c.redirects}
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.path, diff)
		}
	}
	for _, c := range []struct{ address, code, detail string }{
		{url + "/loop", "net::ERR_TOO_MANY_REDIRECTS", ""},
		{url + "/storm", "net::ERR_TOO_MANY_REDIRECTS", "by itself"},
		{url + "/file.bin", "net::ERR_ABORTED", "download"},
		{"http://127.0.0.1:9/", "net::ERR_", ""},
		{"http://nowhere.invalid/", "net::ERR_", ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := s.Navigate(ctx, c.address)
		cancel()
		var nav *cdp.NavigationError
		if !errors.As(err, &nav) || !strings.HasPrefix(nav.Code, c.code) || !strings.Contains(nav.Detail, c.detail) {
			t.Errorf("%s: %v", c.address, err)
		}
	}
}

func TestSchemesAreAllowListed(t *testing.T) {
	s := cdptest.Acquire(t, shared.Pool(t))
	for _, address := range []string{"file:///etc/hostname", "FILE:///etc/hostname", " file:///etc/hostname", "chrome://version",
		"view-source:http://127.0.0.1/", "javascript:1", "data:text/html,x", "ftp://127.0.0.1/", "/etc/hostname", "fi\nle:///etc/hostname"} {
		if _, err := s.Navigate(t.Context(), address); !errors.Is(err, cdp.ErrScheme) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if got := s.Page().URL; got != "about:blank" {
		t.Errorf("the page went to %s", got)
	}
}

func TestWaitForStates(t *testing.T) {
	ctx, s := open(t, "/late")
	for _, state := range []cdp.State{cdp.Hidden, cdp.Present, cdp.Visible} {
		if err := s.WaitFor(ctx, cdp.At("#never", "#late"), state); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	for _, selector := range []string{"text/Late", "xpath///h1", "pierce/h1"} {
		if ok, err := s.Has(ctx, cdp.At(selector), cdp.Visible); err != nil || !ok {
			t.Errorf("%s: %v %v", selector, ok, err)
		}
	}
	var bad *cdp.SelectorError
	if err := s.WaitFor(ctx, cdp.At("##"), cdp.Present); !errors.As(err, &bad) {
		t.Errorf("a bad selector: %v", err)
	}
}

func TestTypeClickAndFollow(t *testing.T) {
	ctx, s := open(t, "/form")
	for _, step := range []error{
		s.Fill(ctx, cdp.At("#q"), cdp.Fill{Text: "né"}),
		s.Fill(ctx, cdp.At("#q"), cdp.Fill{Text: "w", Append: true}),
		s.Fill(ctx, cdp.At("#s"), cdp.Fill{Text: "Two", Append: true}),
		s.Click(ctx, cdp.At("text/Go"), cdp.Click{}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	// The click led to another page, which is loaded now.
	if got := s.Page().URL; !strings.HasSuffix(got, "/done?q=n%C3%A9w&s=2") {
		t.Errorf("the form led to %s", got)
	}
	if ok, err := s.Has(ctx, cdp.At("#done"), cdp.Visible); err != nil || !ok {
		t.Errorf("%v %v", ok, err)
	}
}

func TestClickWaitsUntilUncovered(t *testing.T) {
	ctx, s := open(t, "/cover")
	if err := s.Click(ctx, cdp.At("#b"), cdp.Click{}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Evaluate(ctx, "document.title", nil, 0); err != nil || string(got) != `"clicked"` {
		t.Errorf("title %s, %v", got, err)
	}
}

func TestExtract(t *testing.T) {
	ctx, s := open(t, "/")
	got, missing, err := s.Extract(ctx, []cdp.Field{
		{Name: "title", Selector: "h1"},
		{Name: "price", Selector: "#price", Kind: "number"},
		{Name: "items", Selector: "li", All: true},
		{Name: "href", Selector: "a", Attr: "href"},
		{Name: "html", Selector: "xpath///li[2]", Kind: "html"},
		{Name: "maybe", Selector: "#maybe", Optional: true},
		{Name: "gone", Selector: "#gone"},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(got, &values); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"title": "Home", "price": 1290.5, "items": []any{"a", "b"}, "href": "/next", "html": "<li>b</li>", "maybe": nil, "gone": nil}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"gone"}, missing); diff != "" {
		t.Error(diff)
	}
	var large *cdp.TooLargeError
	if _, _, err := s.Extract(ctx, []cdp.Field{{Name: "h", Selector: "html", Kind: "html"}}, 50); !errors.As(err, &large) {
		t.Errorf("beyond the cap: %v", err)
	}
}

func TestEvaluate(t *testing.T) {
	ctx, s := open(t, "/")
	for _, c := range []struct {
		script, want string
		args         []any
	}{
		{"1 + 1", "2", nil},
		{"({a: [1, 'x']})", `{"a":[1,"x"]}`, nil},
		{"undefined", "null", nil},
		{"Promise.resolve(document.title)", `"Home"`, nil},
		{"(a, b) => a + b", `"\"); alert(1); (\"!"`, []any{`"); alert(1); ("`, "!"}},
	} {
		if got, err := s.Evaluate(ctx, c.script, c.args, 0); err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v", c.script, got, err)
		}
	}
	var script *cdp.ScriptError
	for _, bad := range []string{"throw new Error('no')", "syntax error", "NaN"} {
		if _, err := s.Evaluate(ctx, bad, nil, 0); !errors.As(err, &script) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	var large *cdp.TooLargeError
	if _, err := s.Evaluate(ctx, "Array(1000).fill('x')", nil, 100); !errors.As(err, &large) {
		t.Errorf("beyond the cap: %v", err)
	}
}

// Values are read in the page's own world, which may lie about them.
func TestPageThatLiesAboutValues(t *testing.T) {
	for name, c := range map[string]struct{ lie, want string }{
		"no progress":  {"Math.min = () => 0", "replaced"},
		"endless text": {"String.prototype.slice = () => 'x'.repeat(5 << 20)", "too large"},
		"another type": {"JSON.stringify = () => ({ length: 3 })", "replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s := open(t, "/")
			_, err := s.Evaluate(ctx, c.lie+"; ({ v: Array(3 << 20).fill('x').join('') })", nil, 4<<20)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A text of 4 MB crosses the protocol in one piece, but nobody keeps it.
func TestLongTextIsNotKept(t *testing.T) {
	ctx, s := open(t, "/frame")
	const long = `"x".repeat(4 << 20)`
	for name, evaluate := range map[string]func() (json.RawMessage, error){
		"script":   func() (json.RawMessage, error) { return s.Evaluate(ctx, long, nil, 100) },
		"function": func() (json.RawMessage, error) { return s.Evaluate(ctx, "() => "+long, []any{}, 100) },
		"frame":    func() (json.RawMessage, error) { return s.EvaluateIn(ctx, []string{"0"}, long, nil, 100) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := evaluate()
		runtime.ReadMemStats(&after)
		var large *cdp.TooLargeError
		if !errors.As(err, &large) || large.Most != 100 || large.What != "the script's value" {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
	if err := s.WaitForExpression(ctx, nil, long); err != nil {
		t.Errorf("a long text is true: %v", err)
	}
}

func TestHTMLInChunks(t *testing.T) {
	ctx, s := open(t, "/big")
	got, err := s.HTML(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("\U0001F600a", 600000); !strings.Contains(got, want) || !strings.HasPrefix(got, "<!DOCTYPE html>") {
		t.Errorf("%d bytes came, damaged", len(got))
	}
	var large *cdp.TooLargeError
	if _, err := s.HTML(ctx, 1000); !errors.As(err, &large) {
		t.Errorf("beyond the cap: %v", err)
	}
}

func TestScreenshots(t *testing.T) {
	url, _ := serve(t)
	options := cdptest.Options(t)
	options.Page = cdp.PageOptions{Width: 320, Height: 200}
	s := cdptest.Acquire(t, cdptest.Pool(t, options))
	ctx := t.Context()
	if _, err := s.Navigate(ctx, url+"/tall"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		o             cdp.Screenshot
		width, height int
	}{
		{"viewport", cdp.Screenshot{}, 320, 200},
		{"whole page, in tiles", cdp.Screenshot{FullPage: true}, 320, 6000},
		{"element", cdp.Screenshot{Element: cdp.At("div + div")}, 320, 1000},
	} {
		raw, err := s.Screenshot(ctx, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() != c.width || b.Dy() != c.height {
			t.Errorf("%s: %v", c.name, b)
		}
		if c.o.FullPage {
			red, blue := color.NRGBAModel.Convert(img.At(10, 4999)), color.NRGBAModel.Convert(img.At(10, 5001))
			if red != (color.NRGBA{255, 0, 0, 255}) || blue != (color.NRGBA{0, 0, 255, 255}) {
				t.Errorf("%s: the tiles do not join: %v, %v", c.name, red, blue)
			}
		}
	}
	if raw, err := s.Screenshot(ctx, cdp.Screenshot{Format: "jpeg"}); err != nil || !bytes.HasPrefix(raw, []byte{0xff, 0xd8}) {
		t.Errorf("jpeg: %v", err)
	}
}

func TestScreenshotTooLarge(t *testing.T) {
	ctx, s := open(t, "/vast")
	var large *cdp.TooLargeError
	if _, err := s.Screenshot(ctx, cdp.Screenshot{FullPage: true}); !errors.As(err, &large) {
		t.Errorf("got %v", err)
	}
}

func TestConsoleIsBounded(t *testing.T) {
	_, s := open(t, "/noisy")
	messages, dropped := s.Console()
	if len(messages) != 100 || dropped != 202 || messages[99].Text != "line 99" {
		t.Errorf("%d messages, %d dropped", len(messages), dropped)
	}
}

func TestPopupsAreClosed(t *testing.T) {
	ctx, s := open(t, "/popup")
	eventually(t, "only the session's page is left", func() bool {
		n, err := s.Targets(ctx)
		return err == nil && n == 1
	})
}
