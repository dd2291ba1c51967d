package cdp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/cdp/cdptest/stepsite"
)

// visit opens a page of the site that steps are tested on.
func visit(t *testing.T, path string) (context.Context, *cdp.Session) {
	t.Helper()
	url := stepsite.Serve(t)
	s := cdptest.Acquire(t, shared.Pool(t))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	if _, err := s.Navigate(ctx, url+path); err != nil {
		t.Fatal(err)
	}
	return ctx, s
}

func inFrame(selector string, frame ...string) cdp.Locator {
	l := cdp.At(selector)
	l.Frame = frame
	return l
}

// text is what an element shows.
func text(t *testing.T, ctx context.Context, s *cdp.Session, at cdp.Locator) string {
	t.Helper()
	got, ok, err := s.Text(ctx, at, 1<<10)
	if err != nil || !ok {
		t.Fatalf("%s: %v %v", at, ok, err)
	}
	return got
}

// A frame of another site is drawn by another process; the click goes through
// the page all the same.
func TestForeignFrame(t *testing.T) {
	ctx, s := visit(t, "/foreign")
	for _, selector := range []string{"aria/Plain", "text/Plain", "#plain"} {
		if err := s.Click(ctx, inFrame(selector, "#other"), cdp.Click{}); err != nil {
			t.Errorf("%s: %v", selector, err)
		}
	}
	if got := text(t, ctx, s, inFrame("#log", "0")); got != "click:plain click:plain click:plain" {
		t.Errorf("the frame saw %q", got)
	}
}

// The error says what was missing, and what covered the point.
func TestWhyAnElementIsNotReady(t *testing.T) {
	for _, c := range []struct {
		name, page, prepare, want string
		act                       func(context.Context, *cdp.Session) error
	}{
		{"absent", "/list", "", "no element matches", clickOn(cdp.At("#gone"))},
		{"hidden", "/buttons", "", "it is there but not visible", clickOn(cdp.At("#menu"))},
		{"disabled", "/list", "blob.disabled = true", "it is disabled", clickOn(cdp.At("#blob"))},
		{"disabled by a group", "/list", "blob.setAttribute('aria-disabled', 'true')", "it is disabled", clickOn(cdp.At("#blob"))},
		{"moving", "/list", "let i = 0; (function f() { blob.style.marginLeft = i++ % 50 + 'px'; requestAnimationFrame(f) })()", "it is moving", clickOn(cdp.At("#blob"))},
		{"covered", "/list", "document.body.insertAdjacentHTML('beforeend', '<div id=veil style=\"position:fixed;inset:0\">')", "it is covered by <div#veil>", clickOn(cdp.At("#blob"))},
		{"frame covered", "/frames", "document.body.insertAdjacentHTML('beforeend', '<div id=veil style=\"position:fixed;inset:0\">')", "its frame is covered by <div#veil>", clickOn(inFrame("#plain", "#first"))},
		{"no frame", "/list", "", "there is no frame 3", clickOn(inFrame("#plain", "3"))},
		{"read-only", "/form", "document.getElementById('name').readOnly = true", "it is read-only", fillIn("#name", "x")},
		{"no field", "/form", "", "it is not a field: <h1>", fillIn("h1", "x")},
		{"no such option", "/form", "", `it has no option "Green"`, fillIn("#colour", "Green")},
		{"no such day", "/form", "", `"tomorrow" is not a value of <input#day>`, fillIn("#day", "tomorrow")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, s := visit(t, c.page)
			if _, err := s.Evaluate(ctx, c.prepare+";0", nil, 0); err != nil {
				t.Fatal(err)
			}
			if got := lastReason(t, ctx, func(ctx context.Context) error { return c.act(ctx, s) }); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// lastReason is what stood in the way when the time ran out. On a machine so busy
// that nothing was seen in the time, it takes more.
func lastReason(t *testing.T, ctx context.Context, act func(context.Context) error) string {
	t.Helper()
	for d := 400 * time.Millisecond; ; d *= 2 {
		short, cancel := context.WithTimeout(ctx, d)
		err := act(short)
		cancel()
		var timeout *cdp.TimeoutError
		switch {
		case ctx.Err() != nil || !errors.As(err, &timeout):
			t.Fatalf("got %v", err)
		case timeout.Last != "":
			return timeout.Last
		}
	}
}

func clickOn(at cdp.Locator) func(context.Context, *cdp.Session) error {
	return func(ctx context.Context, s *cdp.Session) error { return s.Click(ctx, at, cdp.Click{}) }
}

func fillIn(selector, value string) func(context.Context, *cdp.Session) error {
	return func(ctx context.Context, s *cdp.Session) error {
		return s.Fill(ctx, cdp.At(selector), cdp.Fill{Text: value})
	}
}

// The page puts another button under the mouse at the last moment: that one must
// not be clicked, and the right one is found again.
func TestPageThatChangesUnderTheClick(t *testing.T) {
	ctx, s := visit(t, "/shifty")
	if err := s.Click(ctx, cdp.At("#good"), cdp.Click{}); err != nil {
		t.Fatal(err)
	}
	if got := text(t, ctx, s, cdp.At("#log")); got != "good" {
		t.Errorf("clicked: %q", got)
	}
}

func TestSelectorsThatCannotBe(t *testing.T) {
	ctx, s := visit(t, "/list")
	for _, selector := range []string{"##", "xpath///[", "aria/x[id=3]", "aria/"} {
		var bad *cdp.SelectorError
		if err := s.WaitFor(ctx, cdp.At(selector), cdp.Present); !errors.As(err, &bad) {
			t.Errorf("%s: %v", selector, err)
		}
	}
}

// Long values come in parts, and whole.
func TestLongValues(t *testing.T) {
	ctx, s := visit(t, "/list")
	const script = `({ text: "\u{1F600}a".repeat(700000) })`
	got, err := s.Evaluate(ctx, script, nil, 8<<20)
	if want := `{"text":"` + strings.Repeat("\U0001F600a", 700000) + `"}`; err != nil || string(got) != want {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	var large *cdp.TooLargeError
	if _, err := s.Evaluate(ctx, script, nil, 1<<20); !errors.As(err, &large) {
		t.Errorf("beyond the cap: %v", err)
	}
	if _, err := s.PrintPDF(ctx, cdp.PDF{}, 1000); !errors.As(err, &large) {
		t.Errorf("a PDF beyond the cap: %v", err)
	}
	if _, err := s.MHTML(ctx, 1000); !errors.As(err, &large) {
		t.Errorf("a snapshot beyond the cap: %v", err)
	}
	_, err = s.Download(ctx, 10, func(ctx context.Context) error { return s.Click(ctx, cdp.At("#report"), cdp.Click{}) })
	if !errors.As(err, &large) {
		t.Errorf("a download beyond the cap: %v", err)
	}
}

// What was emulated is gone after Restore, keys are let go of.
func TestRestore(t *testing.T) {
	ctx, s := visit(t, "/list")
	url := strings.TrimSuffix(s.Page().URL, "/list")
	look := func() string {
		if _, err := s.Navigate(ctx, url+"/where"); err != nil {
			t.Fatal(err)
		}
		where := text(t, ctx, s, cdp.At("dl"))
		if _, err := s.Navigate(ctx, url+"/echo"); err != nil {
			t.Fatal(err)
		}
		return where + text(t, ctx, s, cdp.At("dl"))
	}
	before := look()
	window, device, ok := cdp.LookupDevice("iPhone 13")
	if !ok {
		t.Fatal("no iPhone 13")
	}
	device.Timezone, device.Locale, device.ColorScheme = "Asia/Tokyo", "de-DE", "dark"
	for _, err := range []error{
		s.SetViewport(ctx, window), s.EmulateDevice(ctx, device), s.SetHeaders(ctx, map[string]string{"X-Team": "a"}),
		s.SetGeolocation(ctx, cdp.Geolocation{Latitude: 1, Longitude: 2, Accuracy: 3}), s.KeyDown(ctx, "Shift"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if look() == before {
		t.Error("nothing was emulated")
	}
	if err := s.Restore(ctx); err != nil {
		t.Fatal(err)
	}
	if got := look(); got != before {
		t.Errorf("after Restore\n%s\nbefore\n%s", got, before)
	}
}

func TestKeyNames(t *testing.T) {
	for combination, want := range map[string]string{"Enter": "", "Control+a": "", "Control++": "", "+": "", "KeyA": "", "ShiftRight": "", "Control+Entr": "Entr", "é": "é", "Numpad7": ""} {
		if got := cdp.UnknownKey(combination); got != want {
			t.Errorf("%s: %q", combination, got)
		}
	}
}
