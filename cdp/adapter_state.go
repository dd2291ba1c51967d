package cdp

import (
	"context"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
)

// The commands that move, clear and rescue the state of a page.

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

// silence stops the page's own scripts, or lets the next document's run again.
// Ours in the isolated world run all the same.
func (t *tab) silence(on bool) command {
	return with(t.target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: on}, nil)
}

// silenced stops the page's own scripts and returns our world in it.
func (t *tab) silenced(ctx context.Context) (int64, error) {
	var world page.CreateIsolatedWorldResult
	err := t.wire.conn.run(ctx, t.silence(true),
		with(t.target, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: proto.FrameID(t.targetID), WorldName: worldName}, &world))
	return int64(world.ExecutionContextID), err
}

// clear removes the history, the cookies and the cache of the page's browser
// context, and everything that an origin has stored (empty: there is none), and
// lets scripts run again. It returns what a script says after the history is
// gone.
func (t *tab) clear(ctx context.Context, origin, script string) (said string, err error) {
	var value runtime.EvaluateResult
	none := proto.Empty{}
	commands := []command{
		with(t.target, page.ResetNavigationHistory, none, nil),
		with(t.target, runtime.Evaluate, runtime.EvaluateParams{Expression: script}, &value),
		with(t.wire.browser, storage.ClearCookies, storage.ClearCookiesParams{BrowserContextID: t.contextID}, nil),
	}
	if origin != "" {
		commands = append(commands,
			with(t.target, storage.ClearDataForOrigin, storage.ClearDataForOriginParams{Origin: origin, StorageTypes: "all"}, nil),
			with(t.target, network.ClearBrowserCache, none, nil),
			t.silence(false))
	}
	if err := t.wire.conn.run(ctx, commands...); err != nil {
		return "", err
	}
	r := newReply(value.Result, value.ExceptionDetails)
	return string(r.value), nil
}
