package cdp

import (
	"context"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
)

// The commands that move, clear and rescue the state of a page.

// quieten switches off what chromedp switches on for its own nodes, which we do
// not use. With them a page that writes 4,096 messages to its console while it
// loads stops the page for ever: chromedp asks for the new document on the
// goroutine that has to make room for the answer.
func (t *tab) quieten(ctx context.Context) error {
	for _, off := range []proto.Command[proto.Empty, proto.Empty]{css.Disable, dom.Disable} {
		if _, err := proto.Call(ctx, t.target, off, proto.Empty{}); err != nil {
			return err
		}
	}
	// The browser's own connection tells of new pages already.
	_, err := proto.Call(ctx, t.target, target.SetDiscoverTargets, target.SetDiscoverTargetsParams{Discover: false})
	return err
}

// terminate stops the script that keeps the page busy.
func (t *tab) terminate(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, runtime.TerminateExecution, proto.Empty{})
	return err
}

// clearCookies removes all cookies of the page's browser context.
func (t *tab) clearCookies(ctx context.Context) error {
	_, err := proto.Call(ctx, t.wire.browser, storage.ClearCookies, storage.ClearCookiesParams{BrowserContextID: t.contextID})
	return err
}

// clearOrigin removes everything that an origin has stored.
func (t *tab) clearOrigin(ctx context.Context, origin string) error {
	_, err := proto.Call(ctx, t.target, storage.ClearDataForOrigin, storage.ClearDataForOriginParams{Origin: origin, StorageTypes: "all"})
	return err
}

// clearCache empties the HTTP cache of the page's browser context.
func (t *tab) clearCache(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, network.ClearBrowserCache, proto.Empty{})
	return err
}

// silence stops the page's own scripts, or lets the next document's run again.
// Ours in the isolated world run all the same.
func (t *tab) silence(ctx context.Context, on bool) error {
	_, err := proto.Call(ctx, t.target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: on})
	return err
}

// resetHistory forgets where the page was before.
func (t *tab) resetHistory(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, page.ResetNavigationHistory, proto.Empty{})
	return err
}
