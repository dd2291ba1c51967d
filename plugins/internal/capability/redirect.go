package capability

import "net/http"

// maxRedirects is how many redirects are followed.
const maxRedirects = 5

// sentKey finds the name of the credential's header in a request's context.
type sentKey struct{}

// redirect checks a hop as if the guest had asked for it. What the guest was
// lent for one origin goes to no other, not even back to the first one, since
// the other has chosen the path.
func (h *HTTP) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fault(Failed, "more than %d redirects", maxRedirects)
	}
	if err := h.allows(req.Method, req.URL); err != nil {
		return fault(Denied, "redirected: %s", err)
	}
	req.Header.Del("Referer") // a URL may hold secrets of its own
	if sent, ok := req.Context().Value(sentKey{}).(string); ok && !sameOrigin(req, via) {
		req.Header.Del(sent)
	}
	return nil
}

// sameOrigin tells whether all hops have one scheme, host and port.
func sameOrigin(req *http.Request, via []*http.Request) bool {
	for _, v := range via {
		if v.URL.Scheme != req.URL.Scheme || v.URL.Host != req.URL.Host {
			return false
		}
	}
	return true
}
