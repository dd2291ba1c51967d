package cdp

import (
	"context"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/target"
)

// createContext makes the tab's browser context, with a way out of its own if
// there is a proxy. The way closes with the context or with the browser.
func (t *tab) createContext(ctx context.Context) error {
	disposable := true
	p := target.CreateBrowserContextParams{DisposeOnDetach: &disposable}
	if t.wire.egress != nil {
		l, err := t.wire.egress.Lease()
		if err != nil {
			return err
		}
		t.egress, t.unwatch = l, context.AfterFunc(t.wire.conn.life, l.Close)
		p.ProxyServer, p.ProxyBypassList = "http://"+l.Addr(), bypassNothing
	}
	made, err := proto.Call(ctx, t.wire.browser, target.CreateBrowserContext, p)
	if err != nil {
		t.leave()
		return err
	}
	t.contextID = made.BrowserContextID
	return nil
}

// trustAll lets the page accept any certificate, or not any longer.
func (t *tab) trustAll(ctx context.Context, yes bool) error {
	_, err := proto.Call(ctx, t.target, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: yes})
	return err
}

// leave closes the tab's own way out.
func (t *tab) leave() {
	if t.unwatch != nil {
		t.unwatch() // else the connection would keep the lease, and what it recorded
		t.egress.Close()
	}
}
