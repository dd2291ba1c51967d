package cdp

import (
	"context"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
)

// readCookies reads the cookies for some URLs, or all.
func (t *tab) readCookies(ctx context.Context, urls []string) ([]Cookie, error) {
	var found []*network.Cookie
	if len(urls) > 0 {
		r, err := proto.Call(ctx, t.target, network.GetCookies, network.GetCookiesParams{URLs: urls})
		if err != nil {
			return nil, err
		}
		found = r.Cookies
	} else {
		r, err := proto.Call(ctx, t.wire.browser, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: t.contextID})
		if err != nil {
			return nil, err
		}
		found = r.Cookies
	}
	out := make([]Cookie, 0, len(found))
	for _, c := range found {
		k := Cookie{Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: string(c.SameSite)}
		if !c.Session {
			k.Expires = c.Expires
		}
		out = append(out, k)
	}
	return out, nil
}

// writeCookies adds cookies; those that say nothing of where belong to page.
func (t *tab) writeCookies(ctx context.Context, list []Cookie, page string) error {
	set := make([]*network.CookieParam, 0, len(list))
	for _, c := range list {
		if c.URL == "" && c.Domain == "" {
			c.URL = page
		}
		set = append(set, &network.CookieParam{Name: c.Name, Value: c.Value, URL: c.URL, Domain: c.Domain, Path: c.Path, Secure: c.Secure,
			HTTPOnly: c.HTTPOnly, SameSite: network.CookieSameSite(c.SameSite), Expires: proto.TimeSinceEpoch(c.Expires)})
	}
	_, err := proto.Call(ctx, t.wire.browser, storage.SetCookies, storage.SetCookiesParams{Cookies: set, BrowserContextID: t.contextID})
	return err
}
