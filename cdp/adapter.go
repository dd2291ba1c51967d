package cdp

// This file and the other adapter*.go are the only ones that know chromedp and
// cdproto: the connection, the opening of pages, and the translation of events.

import (
	"context"
	"strings"
	"time"

	browserdomain "github.com/chromedp/cdproto/browser"
	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// wire is the protocol connection to one browser.
type wire struct {
	conn    *conn
	browser *link
	egress  *egress.Proxy // nil: pages go out directly
	way     *egress.Lease // of the default context; nil without a proxy
	crashed func(targetID, status string)
}

// connect speaks to a browser. It blocks until the browser answers, and takes
// the transport over.
func connect(ctx context.Context, t transport) (*wire, Version, error) {
	c, browser := newConn(t)
	v, err := proto.Call(ctx, browser, browserdomain.GetVersion, proto.Empty{})
	if err != nil {
		c.close()
		return nil, Version{}, err
	}
	return &wire{conn: c, browser: browser}, Version{Product: v.Product, Revision: v.Revision, UserAgent: v.UserAgent, Protocol: v.ProtocolVersion}, nil
}

// lost is closed when the connection is gone.
func (w *wire) lost() <-chan struct{} { return w.conn.life.Done() }

// close ends the connection.
func (w *wire) close() { w.conn.close() }

// ping asks for the version, which a browser that works answers at once.
func (w *wire) ping(ctx context.Context) error {
	_, err := proto.Call(ctx, w.browser, browserdomain.GetVersion, proto.Empty{})
	return err
}

// watch reports crashed pages, and pages that pages opened (popups). The
// functions run one after the other on the reader of the connection and must
// neither block nor send commands.
func (w *wire) watch(ctx context.Context, crashed func(targetID, status string), popup func(targetID string)) error {
	w.crashed = crashed
	w.browser.listen([]string{target.TargetCrashed.Method, target.TargetCreated.Method}, func(method string, params jsonv2.Value) {
		switch method {
		case target.TargetCrashed.Method:
			if ev, ok := decode[target.EventTargetCrashed](params); ok {
				crashed(string(ev.TargetID), ev.Status)
			}
		case target.TargetCreated.Method:
			if ev, ok := decode[target.EventTargetCreated](params); ok && ev.TargetInfo.OpenerID != "" {
				popup(string(ev.TargetInfo.TargetID))
			}
		}
	})
	_, err := proto.Call(ctx, w.browser, target.SetDiscoverTargets, target.SetDiscoverTargetsParams{
		Discover: true, Filter: target.Filter{{Type: "page"}}})
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
	target    *link
	egress    *egress.Lease // nil without a proxy
	unwatch   func() bool   // ends the watch that closes egress with the connection; nil: it is not the tab's own
	gone      chan struct{} // closed by dispose
}

// open opens a page, in a new browser context if own is set. named is told its
// target as soon as there is one. on receives the page's events, on the reader
// of the connection: it must neither block nor send commands. With an error the
// tab, if there is one, has to be disposed of.
func (w *wire) open(ctx context.Context, o PageOptions, own bool, named func(targetID string), on func(event)) (*tab, error) {
	t := &tab{wire: w, egress: w.way, gone: make(chan struct{})}
	if own {
		if err := t.createContext(ctx); err != nil {
			return nil, err
		}
	}
	// A page in a window that others share is hidden, and draws nothing.
	window := true
	var made target.CreateTargetResult
	err := w.conn.run(ctx, t.denyDownloads(), with(w.browser, target.CreateTarget,
		target.CreateTargetParams{URL: "about:blank", BrowserContextID: t.contextID, NewWindow: &window}, &made))
	if err != nil {
		return t, err
	}
	t.targetID = string(made.TargetID)
	named(t.targetID)
	if t.target, err = w.attach(ctx, t.targetID); err != nil {
		return t, err
	}
	t.target.listen(pageEventMethods(), translate(on))
	t.watchProcess()
	return t, t.configure(ctx, o)
}

// closing is how long after its process a page that is closed may still be there.
const closing = 200 * time.Millisecond

// watchProcess reports the end of the page's process that is no crash to Chrome:
// it says only that it is gone if it does not know yet how it ended. Full Chromium
// says so of a page that is being closed too, and then detaches it.
func (t *tab) watchProcess() {
	t.target.listen([]string{inspector.Detached.Method}, func(method string, params jsonv2.Value) {
		if method != inspector.Detached.Method {
			return
		}
		if ev, ok := decode[inspector.EventDetached](params); ok && strings.Contains(ev.Reason, "process gone") {
			go t.afterProcess()
		}
	})
}

func (t *tab) afterProcess() {
	closed := time.NewTimer(closing)
	defer closed.Stop()
	select {
	case <-t.target.gone:
	case <-t.wire.conn.life.Done():
	case <-closed.C:
		t.wire.crashed(t.targetID, "process gone")
	}
}

// attach opens a session with a target.
func (w *wire) attach(ctx context.Context, targetID string) (*link, error) {
	flat := true
	r, err := proto.Call(ctx, w.browser, target.AttachToTarget, target.AttachToTargetParams{TargetID: target.ID(targetID), Flatten: &flat})
	if err != nil {
		return nil, err
	}
	return w.conn.link(r.SessionID), nil
}

// configure switches on the events that translate knows, and sets what holds for
// the page's whole life.
func (t *tab) configure(ctx context.Context, o PageOptions) error {
	none := proto.Empty{}
	commands := []command{
		with(t.target, inspector.Enable, none, nil),
		with(t.target, page.Enable, page.EnableParams{}, nil),
		with(t.target, page.SetLifecycleEventsEnabled, page.SetLifecycleEventsEnabledParams{Enabled: true}, nil),
		with(t.target, network.Enable, network.EnableParams{}, nil),
		with(t.target, runtime.Enable, none, nil),
		with(t.target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: int64(o.Width), Height: int64(o.Height), DeviceScaleFactor: 1}, nil),
	}
	if o.UserAgent != "" {
		commands = append(commands, with(t.target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: o.UserAgent}, nil))
	}
	return t.wire.conn.run(ctx, commands...)
}

// dispose closes the page and everything else in its browser context.
func (t *tab) dispose(ctx context.Context) error {
	close(t.gone)
	if t.target != nil {
		defer t.wire.conn.detach(t.target.id) // also if the browser does not say so
	}
	if t.contextID == "" {
		return t.wire.closeTarget(ctx, t.targetID)
	}
	defer t.leave()
	_, err := proto.Call(ctx, t.wire.browser, target.DisposeBrowserContext, target.DisposeBrowserContextParams{BrowserContextID: t.contextID})
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
