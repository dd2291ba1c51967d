package capability

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// HTTP is a client that keeps to an HTTPConfig. It keeps no cookies, uses no
// proxy and asks nobody that the configuration does not name.
type HTTP struct {
	config      HTTPConfig
	hosts       netpolicy.Hosts
	credentials map[string]credential
	client      http.Client
}

// credential is a Credential ready for use.
type credential struct {
	header, value string
	hosts         netpolicy.Hosts
}

// Bounds of connections.
const (
	maxIdlePerHost   = 8
	idleTimeout      = 30 * time.Second
	maxHeaderBytes   = 64 << 10 // of a response
	handshakeTimeout = 10 * time.Second
)

// userAgent is sent if the guest names none.
const userAgent = "waybill"

// Close ends idle connections.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

// Do carries out an encoded request and returns the encoded response
// (spec/kernel-abi.md). The end of ctx is returned as it is; everything else is
// an Error for the guest.
func (h *HTTP) Do(ctx context.Context, raw []byte) ([]byte, error) {
	if int64(len(raw)) > h.config.Request {
		return nil, fault(TooLarge, "a request of %d bytes, the limit is %d", len(raw), h.config.Request)
	}
	r, err := parseRequest(raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.config.Timeout, errTimeout)
	defer cancel()
	req, err := h.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return h.encode(ctx, resp)
}

// prepare makes a request that is allowed, with its credential.
func (h *HTTP) prepare(ctx context.Context, r *request) (*http.Request, error) {
	u, err := parseURL(r.url)
	if err != nil {
		return nil, err
	}
	if err := h.allows(r.method, u); err != nil {
		return nil, err
	}
	c, err := h.credential(r.credential, u)
	if err != nil {
		return nil, err
	}
	headers, err := guestHeaders(r.headers, c.header)
	if err != nil {
		return nil, err
	}
	if headers["User-Agent"] == nil {
		headers["User-Agent"] = []string{userAgent}
	}
	if c.header != "" {
		headers[c.header] = []string{c.value}
		ctx = context.WithValue(ctx, sentKey{}, c.header)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fault(Failed, "the request is not valid")
	}
	req.Header = headers
	return req, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, fault(Failed, "the url is not valid: want http or https, a host and a path")
	case u.User != nil:
		return nil, fault(Denied, "a url with a user name: name a credential instead")
	}
	u.Fragment = ""
	return u, nil
}

// allows checks one request, be it the guest's own or one of a redirect.
func (h *HTTP) allows(method string, u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fault(Denied, "scheme %.64q is not http or https", u.Scheme)
	case u.User != nil:
		return fault(Denied, "a url with a user name")
	case !h.hosts.Allows(u):
		return fault(Denied, "host %.300q is not granted", u.Host)
	}
	for _, m := range h.config.Methods {
		if m == method {
			return nil
		}
	}
	return fault(Denied, "method %.64q is not granted", method)
}

// credential returns the one of a name for a URL; no name is no credential.
func (h *HTTP) credential(name string, u *url.URL) (credential, error) {
	if name == "" {
		return credential{}, nil
	}
	c, ok := h.credentials[name]
	switch {
	case !ok:
		return c, fault(Denied, "credential %.64q is not granted", name)
	case u.Scheme != "https" && !h.config.Private:
		return c, fault(Denied, "a credential goes over https only")
	case !c.hosts.Allows(u):
		return c, fault(Denied, "credential %.64q is not for host %.300q", name, u.Host)
	}
	return c, nil
}

// encode reads a response within the limit.
func (h *HTTP) encode(ctx context.Context, resp *http.Response) ([]byte, error) {
	out := bytes.NewBuffer(encodeHead(resp.StatusCode, resp.Header))
	room := h.config.Response - int64(out.Len())
	tooLarge := fault(TooLarge, "the response has more than %d bytes", h.config.Response)
	if resp.Request.Method != http.MethodHead && resp.ContentLength > room {
		return nil, tooLarge
	}
	n, err := out.ReadFrom(io.LimitReader(resp.Body, room+1))
	if err != nil {
		return nil, explain(ctx, err)
	}
	if n > room {
		return nil, tooLarge
	}
	return out.Bytes(), nil
}

// errTimeout is the cause of a context whose time HTTPConfig.Timeout gave.
var errTimeout = errors.New("the timeout of the grant passed")
