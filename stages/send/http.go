package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// maxAnswer bounds what is read of an answer: enough to use the connection
	// again and to quote a failure.
	maxAnswer = 64 << 10
	// maxQuote is how much of an answer an error cites.
	maxQuote = 200
	// maxRedirects inside one host.
	maxRedirects = 5
	// maxRetryAfter bounds what a server can make us wait.
	maxRetryAfter = time.Hour
)

// poster sends each item as one request.
type poster struct {
	cfg    Config
	client *http.Client
}

var (
	_ pipeline.Closer  = (*poster)(nil)
	_ pipeline.Orderer = (*poster)(nil)
)

func newHTTP(cfg Config) *poster {
	return &poster{cfg: cfg, client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
		Timeout:       cfg.Timeout.D(),
		CheckRedirect: checkRedirect,
	}}
}

// Ordered reports whether requests keep the order of the claims.
func (p *poster) Ordered() bool { return p.cfg.Ordered }

// Close closes idle connections.
func (p *poster) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

// errRedirect marks redirects that are refused; trying again cannot help.
var errRedirect = errors.New("redirect refused")

// checkRedirect follows redirects that stay on the host and keep the method:
// another host must not get our headers and items, and a POST that silently
// became a GET would look like a delivery.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("%w: it leads to %s://%s", errRedirect, req.URL.Scheme, req.URL.Host)
	case req.Method != first.Method:
		return fmt.Errorf("%w: it turns %s into %s", errRedirect, first.Method, req.Method)
	}
	return nil
}

// Process sends the item and judges the answer.
func (p *poster) Process(ctx context.Context, it *pipeline.Item) error {
	req, err := p.request(ctx, it)
	if err != nil {
		return err
	}
	sent, received := req.ContentLength, 0
	if err := it.Budget.Reserve(pipeline.UnitIO, sent); err != nil {
		return err
	}
	// The answer's bytes are known too late to refuse them.
	defer func() { it.Budget.Settle(pipeline.UnitIO, sent, sent+int64(received)) }()
	resp, err := p.client.Do(req)
	if err != nil {
		return p.transportError(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	received = len(answer)
	if err != nil && p.expected(resp.StatusCode) {
		return p.transportError(ctx, err)
	}
	return p.judge(resp, answer)
}

func (p *poster) request(ctx context.Context, it *pipeline.Item) (*http.Request, error) {
	payload, media, err := p.payload(it)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, p.cfg.Method, p.cfg.To, bytes.NewReader(payload))
	if err != nil {
		return nil, pipeline.Fail("request", "send: %w", err)
	}
	req.Header.Set("Content-Type", media)
	req.Header.Set("Idempotency-Key", it.ID)
	req.Header.Set("User-Agent", "waybill")
	for name, value := range p.cfg.Headers {
		req.Header.Set(name, value)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if tc := pipeline.TraceFrom(ctx); p.cfg.Trace && tc.Parent != "" {
		req.Header.Set("traceparent", tc.Parent)
		if tc.State != "" {
			req.Header.Set("tracestate", tc.State)
		}
	}
	return req, nil
}

// payload is the whole item as JSON, or the body as it is.
func (p *poster) payload(it *pipeline.Item) (b []byte, media string, err error) {
	if p.cfg.What == WhatItem {
		b, err = encode(it, WhatItem)
		return b, pipeline.MediaJSON, err
	}
	if b, err = it.Body.Bytes(); err != nil {
		return nil, "", pipeline.Fail("body", "%w", err)
	}
	return b, it.Body.MediaType(), nil
}

// transportError hides the URL's path and query, where secrets travel, from
// logs and receipts.
func (p *poster) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("send: %w", ctx.Err())
	}
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	e := &pipeline.Error{Kind: pipeline.Retry, Code: "http", Err: fmt.Errorf("send to %s: %w", p.host(), err)}
	if errors.Is(err, errRedirect) {
		e.Kind, e.Code, e.Hint = pipeline.Permanent, "redirect", "write the final address in to"
	}
	return e
}

func (p *poster) host() string {
	u, err := url.Parse(p.cfg.To)
	if err != nil {
		return "the endpoint"
	}
	return u.Scheme + "://" + u.Host
}

func (p *poster) expected(status int) bool {
	if len(p.cfg.Expect) > 0 {
		return slices.Contains(p.cfg.Expect, status)
	}
	return status/100 == 2
}

// judge turns a status into a typed error: 429 and 5xx (and 408, 425) are
// worth another attempt, not before Retry-After (RFC 9110, 10.2.3); every
// other status is permanent.
func (p *poster) judge(resp *http.Response, answer []byte) error {
	if p.expected(resp.StatusCode) {
		return nil
	}
	e := &pipeline.Error{Kind: pipeline.Permanent, Code: "http-" + strconv.Itoa(resp.StatusCode),
		Err: fmt.Errorf("send to %s: %s%s", p.host(), resp.Status, quote(answer))}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		e.Kind = pipeline.Retry
	default:
		if resp.StatusCode/100 == 5 {
			e.Kind = pipeline.Retry
		}
	}
	if e.Kind == pipeline.Retry {
		e.After = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// quote cites the beginning of an answer on one line.
func quote(answer []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(answer[:min(len(answer), maxQuote)]), "")), " ")
	if text == "" {
		return ""
	}
	return ": " + text
}

// retryAfter reads seconds or an HTTP date; nonsense and the past are 0.
func retryAfter(header string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.ParseInt(strings.TrimSpace(header), 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// validateHTTP checks what only an HTTP destination has.
func (c Config) validateHTTP(v *pipeline.Validation) {
	for name, value := range c.Headers {
		if !isToken(name) || strings.ContainsAny(value, "\r\n\x00") {
			v.Problem("headers."+name, "bad-value", "", "%q is not a header", name)
		}
	}
	if !isToken(c.Method) {
		v.Problem("method", "bad-value", "write POST, PUT or PATCH", "%q is not a method", c.Method)
	}
	for i, status := range c.Expect {
		if status < 200 || status > 599 {
			v.Problem(fmt.Sprintf("expect[%d]", i), "bad-value", "", "%d is not an HTTP status", status)
		}
	}
	if c.Timeout <= 0 {
		v.Problem("timeout", "bad-value", "leave it out for 30s", "timeout must be positive")
	}
}

// isToken reports whether s is an RFC 9110 token.
func isToken(s string) bool {
	for _, r := range s {
		if r > '~' || r <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return false
		}
	}
	return s != ""
}
