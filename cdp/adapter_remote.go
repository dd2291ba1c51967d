package cdp

import (
	"context"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/remote"
)

// dialed hands chromedp a browser that somebody else runs.
type dialed struct {
	address string
	logf    func(string, ...any)
}

func (d *dialed) Allocate(ctx context.Context, opts ...chromedp.BrowserOption) (*chromedp.Browser, error) {
	conn, err := remote.DialContext(ctx, d.address)
	if err != nil {
		return nil, err
	}
	opts = append(opts, chromedp.WithBrowserLogf(d.logf), chromedp.WithBrowserErrorf(d.logf))
	return chromedp.NewBrowserTransport(ctx, conn, opts...)
}
func (d *dialed) Wait()          {}
func (d *dialed) Attaches() bool { return true }

// connectRemote speaks to a browser over a web socket.
func connectRemote(ctx context.Context, address string, logf func(string, ...any)) (*wire, Version, error) {
	return handshake(ctx, &dialed{address, logf})
}
