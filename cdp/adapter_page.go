package cdp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/chromedp/cdproto"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// The commands of a page, one method each. They return chromedp's errors; the
// session explains them.

// navigated is the immediate answer to a navigation.
type navigated struct {
	loader    string // empty: the document stays (a fragment)
	errorText string // "net::ERR_..."
	download  bool
}

func (t *tab) navigate(ctx context.Context, url string) (navigated, error) {
	r, err := proto.Call(ctx, t.target, page.Navigate, page.NavigateParams{URL: url})
	return navigated{string(r.LoaderID), r.ErrorText, r.IsDownload}, err
}

func (t *tab) stopLoading(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, page.StopLoading, proto.Empty{})
	return err
}

func (t *tab) handleDialog(ctx context.Context, accept bool) error {
	_, err := proto.Call(ctx, t.target, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: accept})
	return err
}

// reply is the value of a script: its JSON, or a handle if it was not asked for
// by value.
type reply struct {
	value     json.RawMessage
	handle    string
	exception string
}

func newReply(o *runtime.RemoteObject, d *runtime.ExceptionDetails) reply {
	if d != nil {
		return reply{exception: exceptionText(d)}
	}
	r := reply{handle: string(o.ObjectID), value: json.RawMessage(o.Value)}
	if o.UnserializableValue != "" { // NaN, Infinity, -0, 12n: not JSON
		r.exception = "the value " + string(o.UnserializableValue) + " has no JSON"
	}
	return r
}

// on says where a function runs: in a world, or with an object as this.
type on struct {
	world  int64
	handle string
	most   int64 // bytes that its value may take in the protocol; 0: maxAnswer
}

// handle is an object in the page, passed to a function there.
type handle string

// callFunction calls a function with arguments passed as data, or as handles. byValue returns
// its JSON, else a handle. A promise is awaited.
func (t *tab) callFunction(ctx context.Context, at on, function string, byValue bool, args ...any) (reply, error) {
	yes := true
	p := runtime.CallFunctionOnParams{FunctionDeclaration: function, ReturnByValue: &byValue, AwaitPromise: &yes,
		ObjectID: runtime.RemoteObjectID(at.handle), ExecutionContextID: runtime.ExecutionContextID(at.world)}
	for _, a := range args {
		if h, ok := a.(handle); ok {
			p.Arguments = append(p.Arguments, &runtime.CallArgument{ObjectID: runtime.RemoteObjectID(h)})
			continue
		}
		raw, err := json.Marshal(a)
		if err != nil {
			return reply{}, err
		}
		p.Arguments = append(p.Arguments, &runtime.CallArgument{Value: raw})
	}
	return t.script(ctx, runtime.CallFunctionOn.Method, p, at.most)
}

// script runs a command that runs a script.
func (t *tab) script(ctx context.Context, method string, params any, most int64) (reply, error) {
	var r runtime.EvaluateResult // which is that of all of them
	err := t.wire.conn.run(ctx, command{on: t.target, method: method, params: params, result: &r, most: most})
	if err != nil {
		return reply{}, err
	}
	return newReply(r.Result, r.ExceptionDetails), nil
}

// evaluate runs an expression in the page's own world and returns a handle, or
// the JSON of a primitive. The browser sends a text in one piece, however long;
// one that takes more than most bytes in the protocol is thrown away as it comes,
// and the error is *TooLargeError.
func (t *tab) evaluate(ctx context.Context, expression string, most int64) (reply, error) {
	yes := true
	p := runtime.EvaluateParams{Expression: expression, AwaitPromise: &yes, UserGesture: &yes}
	return t.script(ctx, runtime.Evaluate.Method, p, most)
}

// release lets go of objects, so that the page can forget them. Nobody waits for
// it.
func (t *tab) release(ctx context.Context, handles ...string) {
	var commands []command
	for _, h := range handles {
		commands = append(commands, with(t.target, runtime.ReleaseObject, runtime.ReleaseObjectParams{ObjectID: runtime.RemoteObjectID(h)}, nil))
	}
	_ = t.wire.conn.post(ctx, commands...)
}

// contentSize returns the size of the whole document in CSS pixels.
func (t *tab) contentSize(ctx context.Context) (width, height float64, err error) {
	m, err := proto.Call(ctx, t.target, page.GetLayoutMetrics, proto.Empty{})
	if err != nil {
		return 0, 0, err
	}
	return m.CSSContentSize.Width, m.CSSContentSize.Height, nil
}

// scrollPosition returns where the main document is scrolled to.
func (t *tab) scrollPosition(ctx context.Context) (Point, error) {
	m, err := proto.Call(ctx, t.target, page.GetLayoutMetrics, proto.Empty{})
	if err != nil {
		return Point{}, err
	}
	return Point{float64(m.CSSLayoutViewport.PageX), float64(m.CSSLayoutViewport.PageY)}, nil
}

// capture takes a picture of the viewport, or of a rectangle of the document.
func (t *tab) capture(ctx context.Context, format string, quality int, clip *rect) ([]byte, error) {
	yes := true
	p := page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormat(format)}
	if format == "jpeg" {
		q := int64(quality)
		p.Quality, p.OptimizeForSpeed = &q, &yes
	}
	if clip != nil {
		p.CaptureBeyondViewport = &yes
		p.Clip = &page.Viewport{X: clip.X, Y: clip.Y, Width: clip.Width, Height: clip.Height, Scale: 1}
	}
	r, err := proto.Call(ctx, t.target, page.CaptureScreenshot, p)
	return r.Data, err
}

// stale reports whether a script failed because the document was replaced under
// it; in the new document it may be tried again.
func stale(err error) bool {
	var e *cdproto.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, text := range []string{"Cannot find context", "context was destroyed", "navigated or closed", "Promise was collected", "Could not find object",
		"No frame", "No node", "Could not find node", "does not belong to the document", "same JavaScript world", "session with given id"} {
		if strings.Contains(e.Message, text) {
			return true
		}
	}
	return false
}

// gone reports whether err says that the connection ended.
func gone(err error) bool { return errors.Is(err, errConnection) }

func detached(err error) bool { return errors.Is(err, errDetached) }

func jsonString(raw []byte) (string, bool) {
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}
