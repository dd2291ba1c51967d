package recording

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// Recording is one visit.
type Recording struct {
	// Software made it: "waybill 1.0"; Browser showed it: "HeadlessChrome/156.0".
	Software, Browser string
	// Created is when it was made; it is the date of the package.
	Created time.Time
	// Pages are the documents that were shown, in order.
	Pages []Page
	// Exchanges are in the order in which they began.
	Exchanges []egress.Exchange
}

// Page is a document that was shown in the main frame.
type Page struct {
	URL, Title string
	// Started is when it was asked for.
	Started time.Time
}

// AddPages adds what the browser's history has, if it was fetched in this visit:
// each page begins with the exchange of its document, or with the first of the
// redirects that led there.
func (r *Recording) AddPages(pages []Page) {
	for _, p := range pages {
		address, _, _ := strings.Cut(p.URL, "#")
		i := slices.IndexFunc(r.Exchanges, func(x egress.Exchange) bool { return x.URL == address && x.Status > 0 })
		if i < 0 {
			continue
		}
		for j := i; j >= 0; j-- {
			if redirects(&r.Exchanges[j], r.Exchanges[i].URL) {
				i = j
			}
		}
		p.Started = r.Exchanges[i].Started
		r.Pages = append(r.Pages, p)
	}
}

// redirects tells whether an answer leads to an address.
func redirects(x *egress.Exchange, to string) bool {
	location := x.Response.Header.Get("Location")
	if x.Status < 300 || x.Status > 399 || location == "" {
		return false
	}
	from, err := url.Parse(x.URL)
	if err != nil {
		return false
	}
	next, err := from.Parse(location)
	if err != nil {
		return false
	}
	next.Fragment = ""
	return next.String() == to
}

// ErrFormat: the bytes are neither a HAR nor a WACZ.
var ErrFormat = errors.New("neither a HAR nor a WACZ")

// Parse reads a HAR or a WACZ.
func Parse(data []byte) (*Recording, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return ParseWACZ(data)
	case bytes.HasPrefix(bytes.TrimLeft(data, "\ufeff \t\r\n"), []byte("{")):
		return ParseHAR(data)
	}
	return nil, ErrFormat
}

const redacted = "[redacted]"

// Redact returns a copy without the values of cookies and of authorization
// headers. Their names stay: they say what the page depended on.
func (r *Recording) Redact() *Recording {
	out := *r
	out.Exchanges = make([]egress.Exchange, len(r.Exchanges))
	for i, x := range r.Exchanges {
		x.Request.Header = redactHeader(x.Request.Header)
		x.Response.Header = redactHeader(x.Response.Header)
		out.Exchanges[i] = x
	}
	return &out
}

func redactHeader(h http.Header) http.Header {
	h = h.Clone()
	for name, values := range h {
		for i, v := range values {
			switch name {
			case "Cookie":
				pairs := strings.Split(v, ";")
				for j := range pairs {
					key, _, _ := strings.Cut(strings.TrimSpace(pairs[j]), "=")
					pairs[j] = key + "=" + redacted
				}
				values[i] = strings.Join(pairs, "; ")
			case "Set-Cookie":
				pair, attributes, _ := strings.Cut(v, ";")
				key, _, _ := strings.Cut(pair, "=")
				values[i] = key + "=" + redacted
				if attributes != "" {
					values[i] += ";" + attributes
				}
			case "Authorization", "Proxy-Authorization":
				scheme, _, _ := strings.Cut(v, " ")
				values[i] = scheme + " " + redacted
			case "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", "X-Xsrf-Token":
				values[i] = redacted
			}
		}
	}
	return h
}

// maxDecoded bounds by how much the compressed bodies of one recording grow,
// together: a page of a few MiB could ask for many GiB.
const maxDecoded = 64 << 20

// decoded undoes the content codings of a body. ok is false if one of them is not
// known here, does not hold, or makes more than most bytes; the body is then as it
// was sent.
func decoded(m egress.Message, most int) (body []byte, ok bool) {
	body = m.Body
	codings := strings.Split(strings.Join(m.Header.Values("Content-Encoding"), ","), ",")
	for i := len(codings) - 1; i >= 0; i-- {
		plain, err := undo(strings.ToLower(strings.TrimSpace(codings[i])), body, most)
		if err != nil {
			return m.Body, false
		}
		body = plain
	}
	return body, true
}

func undo(coding string, body []byte, most int) ([]byte, error) {
	var r io.ReadCloser
	var err error
	switch coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, fmt.Errorf("content coding %q is not known", coding)
	}
	if len(body) == 0 {
		return body, nil // of HEAD and 304
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	plain, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(plain) > most {
		err = errors.New("the body is too large when decoded")
	}
	return plain, err
}
