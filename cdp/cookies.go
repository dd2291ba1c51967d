package cdp

import "context"

// Cookie is one cookie of a browser context.
type Cookie struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Domain it is sent to; with a leading dot also to those below it.
	Domain string `json:"domain,omitempty"`
	Path   string `json:"path,omitempty"`
	// Expires in seconds since 1970; 0 ends with the session.
	Expires  float64 `json:"expires,omitempty"`
	Secure   bool    `json:"secure,omitempty"`
	HTTPOnly bool    `json:"httpOnly,omitempty"`
	// SameSite is Strict, Lax, None or empty.
	SameSite string `json:"sameSite,omitempty"`
	// URL stands for Domain, Path and Secure when a cookie is set.
	URL string `json:"url,omitempty"`
}

// Cookies returns the cookies that the page's context would send to the URLs, or
// all of them if there are none, sorted as the browser has them.
func (s *Session) Cookies(ctx context.Context, urls ...string) (list []Cookie, err error) {
	err = s.do(ctx, "the cookies", func(ctx context.Context) error {
		list, err = s.tab.readCookies(ctx, urls)
		return err
	})
	return list, err
}

// SetCookies adds cookies to the page's context. One with neither domain nor URL
// belongs to the current document.
func (s *Session) SetCookies(ctx context.Context, list []Cookie) error {
	return s.do(ctx, "the cookies to be set", func(ctx context.Context) error {
		return s.tab.writeCookies(ctx, list, s.Page().URL)
	})
}

// ClearCookies removes all cookies of the page's context.
func (s *Session) ClearCookies(ctx context.Context) error {
	return s.do(ctx, "the cookies to be removed", s.tab.clearCookies)
}
