package cdp

// This file and the other adapter*.go are the only ones that know chromedp and
// cdproto: the connection, the opening of pages, and the translation of events.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	browserdomain "github.com/chromedp/cdproto/browser"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// wire is the protocol connection to one browser.
type wire struct {
	ctx     context.Context // a chromedp context with the browser in it
	cancel  context.CancelFunc
	browser *chromedp.Browser
	egress  *egress.Proxy // nil: pages go out directly
	way     *egress.Lease // of the default context; nil without a proxy
}

// attached hands chromedp a browser that we launched ourselves, because we own
// the process: its group, its user, its output and its end.
type attached struct {
	r    io.ReadCloser
	w    io.WriteCloser
	logf func(string, ...any)
}

func (a *attached) Allocate(ctx context.Context, opts ...chromedp.BrowserOption) (*chromedp.Browser, error) {
	opts = append(opts, chromedp.WithBrowserLogf(a.logf), chromedp.WithBrowserErrorf(a.logf))
	return chromedp.NewBrowserTransport(ctx, chromedp.NewPipeConn(a.r, a.w), opts...)
}
func (a *attached) Wait()          {}
func (a *attached) Attaches() bool { return true }

// connect speaks to a browser over its debugging pipe. It blocks until the
// browser answers.
func connect(ctx context.Context, r io.ReadCloser, w io.WriteCloser, logf func(string, ...any)) (*wire, Version, error) {
	return handshake(ctx, &attached{r, w, logf})
}

// handshake asks the browser behind an allocator who it is.
func handshake(ctx context.Context, a chromedp.Allocator) (*wire, Version, error) {
	root, cancelRoot := chromedp.NewAllocatorContext(context.Background(), a)
	tab, cancelTab := chromedp.NewContext(root)
	stop := context.AfterFunc(ctx, cancelRoot)
	defer stop()
	v, err := chromedp.CallBrowser(tab, browserdomain.GetVersion, proto.Empty{})
	if err != nil {
		cancelRoot()
		cancelTab()
		return nil, Version{}, err
	}
	c := &wire{ctx: tab, cancel: func() { cancelRoot(); cancelTab() }, browser: chromedp.FromContext(tab).Browser}
	return c, Version{Product: v.Product, Revision: v.Revision, UserAgent: v.UserAgent, Protocol: v.ProtocolVersion}, nil
}

// lost is closed when the connection is gone.
func (w *wire) lost() <-chan struct{} { return w.browser.LostConnection }

// close ends the connection. It waits for nothing.
func (w *wire) close() { go w.cancel() }

// ping asks for the version, which a browser that works answers at once.
func (w *wire) ping(ctx context.Context) error {
	_, err := proto.Call(ctx, w.browser, browserdomain.GetVersion, proto.Empty{})
	return err
}

// watch reports crashed pages, and pages that pages opened (popups). The
// functions run one after the other on the reader of the connection and must
// neither block nor send commands.
func (w *wire) watch(ctx context.Context, crashed func(targetID, status string), popup func(targetID string)) error {
	err := chromedp.ListenBrowser(w.ctx, func(ev any) {
		switch ev := ev.(type) {
		case *target.EventTargetCrashed:
			crashed(string(ev.TargetID), ev.Status)
		case *target.EventTargetCreated:
			if ev.TargetInfo.Type == "page" && ev.TargetInfo.OpenerID != "" {
				popup(string(ev.TargetInfo.TargetID))
			}
		}
	})
	if err != nil {
		return err
	}
	_, err = proto.Call(ctx, w.browser, target.SetDiscoverTargets, target.SetDiscoverTargetsParams{Discover: true})
	return err
}

func (w *wire) closeTarget(ctx context.Context, targetID string) error {
	_, err := proto.Call(ctx, w.browser, target.CloseTarget, target.CloseTargetParams{TargetID: target.ID(targetID)})
	return err
}

// tab is one page, in a browser context of its own or, with a profile that is
// kept, in the browser's default one.
type tab struct {
	wire      *wire
	contextID proto.BrowserContextID // empty: the default context
	targetID  string
	target    *chromedp.Target
	cancel    context.CancelFunc
	egress    *egress.Lease // nil without a proxy
	unwatch   func() bool   // ends the watch that closes egress with the connection; nil: it is not the tab's own
	gone      chan struct{} // closed by dispose
}

// open opens a page, in a new browser context if own is set. on receives the
// page's events, on the reader of the page: it must neither block nor send
// commands.
func (w *wire) open(ctx context.Context, o PageOptions, own bool, on func(event)) (*tab, error) {
	t := &tab{wire: w, egress: w.way, gone: make(chan struct{})}
	options := []chromedp.ContextOption{chromedp.WithListener(translate(on))}
	if own {
		if err := t.createContext(ctx); err != nil {
			return nil, err
		}
		options = append(options, chromedp.WithExistingBrowserContext(t.contextID))
	}
	var err error
	tabCtx, cancel := chromedp.NewContext(w.ctx, options...)
	t.cancel = cancel
	// The context of the first Do owns the page, so the caller's context only
	// watches it.
	stop := context.AfterFunc(ctx, cancel)
	err = chromedp.Do(tabCtx)
	if err == nil {
		t.target = chromedp.FromContext(tabCtx).Target
		t.targetID = string(t.target.TargetID)
		if err = t.quieten(ctx); err == nil {
			err = t.configure(ctx, o)
		}
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return t, err
	}
	return t, nil
}

// configure sets what holds for the page's whole life.
func (t *tab) configure(ctx context.Context, o PageOptions) error {
	if err := t.denyDownloads(ctx); err != nil {
		return err
	}
	_, err := proto.Call(ctx, t.target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(o.Width), Height: int64(o.Height), DeviceScaleFactor: 1})
	if err != nil || o.UserAgent == "" {
		return err
	}
	_, err = proto.Call(ctx, t.target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: o.UserAgent})
	return err
}

// dispose closes the page and everything else in its browser context.
func (t *tab) dispose(ctx context.Context) error {
	close(t.gone)
	if t.contextID == "" {
		err := t.wire.closeTarget(ctx, t.targetID)
		if t.cancel != nil {
			t.cancel()
		}
		return err
	}
	defer t.leave()
	_, err := proto.Call(ctx, t.wire.browser, target.DisposeBrowserContext, target.DisposeBrowserContextParams{BrowserContextID: t.contextID})
	if t.cancel != nil {
		t.cancel()
	}
	return err
}

// pages counts the pages in the tab's browser context.
func (t *tab) pages(ctx context.Context) (n int, err error) {
	all, err := t.wire.pages(ctx)
	return all[string(t.contextID)], err
}

// pages counts the browser's pages by browser context.
func (w *wire) pages(ctx context.Context) (map[string]int, error) {
	r, err := proto.Call(ctx, w.browser, target.GetTargets, target.GetTargetsParams{})
	n := map[string]int{}
	for _, info := range r.TargetInfos {
		if info.Type == "page" {
			n[string(info.BrowserContextID)]++
		}
	}
	return n, err
}

// event is what a session wants to know of its page. Exactly one type each.
type event any

type (
	evRequest  struct{ frame, redirectedFrom string } // the document is asked for again
	evResponse struct {
		loader string
		frame  string
		status int
	} // the document's answer
	evStarted   struct{ frame, url string } // a navigation began
	evCommitted struct {
		frame, loader, url string
		main               bool
	}
	evMoved   struct{ frame, url string } // inside the document (#fragment, history)
	evLoaded  struct{ frame, loader string }
	evStopped struct{ frame string }
	evSwapped struct{} // a frame moved to another process
	evDialog  struct{ kind string }
	evConsole struct{ level, text string }
)

// translate turns chromedp's events into ours.
func translate(on func(event)) func(any) {
	return func(ev any) {
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if ev.Type == network.ResourceTypeDocument && ev.RedirectResponse != nil {
				on(evRequest{string(ev.FrameID), ev.RedirectResponse.URL})
			}
		case *network.EventResponseReceived:
			if ev.Type == network.ResourceTypeDocument {
				on(evResponse{string(ev.LoaderID), string(ev.FrameID), int(ev.Response.Status)})
			}
		case *page.EventFrameStartedNavigating:
			on(evStarted{string(ev.FrameID), ev.URL})
		case *page.EventFrameRequestedNavigation:
			on(evStarted{string(ev.FrameID), ev.URL})
		case *page.EventFrameNavigated:
			on(evCommitted{string(ev.Frame.ID), string(ev.Frame.LoaderID), ev.Frame.URL + ev.Frame.URLFragment, ev.Frame.ParentID == ""})
		case *page.EventNavigatedWithinDocument:
			on(evMoved{string(ev.FrameID), ev.URL})
		case *page.EventLifecycleEvent:
			if ev.Name == "load" {
				on(evLoaded{string(ev.FrameID), string(ev.LoaderID)})
			}
		case *page.EventFrameStoppedLoading:
			on(evStopped{string(ev.FrameID)})
		case *page.EventFrameDetached:
			if ev.Reason == page.FrameDetachedReasonSwap {
				on(evSwapped{})
			}
		case *page.EventJavascriptDialogOpening:
			on(evDialog{string(ev.Type)})
		case *runtime.EventConsoleAPICalled:
			on(evConsole{string(ev.Type), consoleText(ev.Args)})
		case *runtime.EventExceptionThrown:
			on(evConsole{LevelException, exceptionText(ev.ExceptionDetails)})
		}
	}
}

func consoleText(args []*runtime.RemoteObject) string {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if text, ok := jsonString(a.Value); ok {
			b.WriteString(text)
		} else if a.Description != "" {
			b.WriteString(a.Description)
		} else {
			b.Write(a.Value)
		}
	}
	return b.String()
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	if d.Exception != nil && len(d.Exception.Value) > 0 {
		return fmt.Sprintf("%s %s", d.Text, d.Exception.Value)
	}
	return d.Text
}

// gone reports whether err says that the page or the connection ended, which
// chromedp dresses as a cancelled context.
func gone(err error) bool {
	return errors.Is(err, chromedp.ErrTargetDetached) || errors.Is(err, chromedp.ErrChannelClosed) || errors.Is(err, context.Canceled)
}

func detached(err error) bool { return errors.Is(err, chromedp.ErrTargetDetached) }
