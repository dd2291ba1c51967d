package recording

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// HAR 1.2: the archived W3C draft of the Web Performance Working Group
// (HAR.html in w3c/web-performance) and its predecessor by J. Odvarko. Times are
// in milliseconds, sizes in bytes, -1 is not known. Names with _ are our own, as
// the format allows.
type (
	harFile struct {
		Log harLog `json:"log"`
	}
	harLog struct {
		Version string     `json:"version"`
		Creator harTool    `json:"creator"`
		Browser *harTool   `json:"browser,omitempty"`
		Pages   []harPage  `json:"pages"`
		Entries []harEntry `json:"entries"`
	}
	harTool struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	harPage struct {
		Started string             `json:"startedDateTime"`
		ID      string             `json:"id"`
		Title   string             `json:"title"`
		Timings map[string]float64 `json:"pageTimings"`
		URL     string             `json:"_url,omitempty"`
	}
	harEntry struct {
		Page     string      `json:"pageref,omitempty"`
		Started  string      `json:"startedDateTime"`
		Time     float64     `json:"time"`
		Request  harRequest  `json:"request"`
		Response harResponse `json:"response"`
		Cache    struct{}    `json:"cache"`
		Timings  harTimings  `json:"timings"`
		ServerIP string      `json:"serverIPAddress,omitempty"`
		Comment  string      `json:"comment,omitempty"`
	}
	harRequest struct {
		Method      string      `json:"method"`
		URL         string      `json:"url"`
		Proto       string      `json:"httpVersion"`
		Cookies     []harCookie `json:"cookies"`
		Headers     []harPair   `json:"headers"`
		Query       []harPair   `json:"queryString"`
		Post        *harPost    `json:"postData,omitempty"`
		HeadersSize int         `json:"headersSize"`
		BodySize    int         `json:"bodySize"`
	}
	harResponse struct {
		Status      int         `json:"status"`
		StatusText  string      `json:"statusText"`
		Proto       string      `json:"httpVersion"`
		Cookies     []harCookie `json:"cookies"`
		Headers     []harPair   `json:"headers"`
		Content     harContent  `json:"content"`
		Redirect    string      `json:"redirectURL"`
		HeadersSize int         `json:"headersSize"`
		BodySize    int         `json:"bodySize"`
		Error       string      `json:"_error,omitempty"`
		Code        string      `json:"_code,omitempty"`
	}
	harPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	harCookie struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Path     string `json:"path,omitempty"`
		Domain   string `json:"domain,omitempty"`
		Expires  string `json:"expires,omitempty"`
		HTTPOnly bool   `json:"httpOnly"`
		Secure   bool   `json:"secure"`
	}
	harPost struct {
		MediaType string    `json:"mimeType"`
		Params    []harPair `json:"params"`
		Text      string    `json:"text"`
		Encoding  string    `json:"_encoding,omitempty"`
	}
	harContent struct {
		Size        int    `json:"size"`
		Compression int    `json:"compression,omitempty"`
		MediaType   string `json:"mimeType"`
		Text        string `json:"text"`
		Encoding    string `json:"encoding,omitempty"`
		// Coded is the content coding that is still in Text; none normally.
		Coded string `json:"_contentEncoding,omitempty"`
	}
	harTimings struct {
		Blocked float64 `json:"blocked"`
		DNS     float64 `json:"dns"`
		Connect float64 `json:"connect"` // with TLS
		Send    float64 `json:"send"`
		Wait    float64 `json:"wait"`
		Receive float64 `json:"receive"`
		TLS     float64 `json:"ssl"`
	}
)

// harTime is ISO 8601 with milliseconds and a zone.
const harTime = "2006-01-02T15:04:05.000Z07:00"

// HAR renders the recording. Bodies are decoded, up to 64 MiB more than was sent;
// those beyond stay as they were, and say so in _contentEncoding.
func (r *Recording) HAR() ([]byte, error) { return r.har(maxDecoded) }

func (r *Recording) har(room int) ([]byte, error) {
	log := harLog{Version: "1.2", Creator: tool(r.Software, " "), Pages: []harPage{}, Entries: []harEntry{}}
	if r.Browser != "" {
		b := tool(r.Browser, "/")
		log.Browser = &b
	}
	for i, p := range r.Pages {
		log.Pages = append(log.Pages, harPage{Started: p.Started.UTC().Format(harTime), ID: pageID(i), Title: p.Title, URL: p.URL,
			Timings: map[string]float64{"onContentLoad": -1, "onLoad": -1}})
	}
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		e := newEntry(x, room)
		room -= e.Response.Content.Compression
		for i, p := range r.Pages {
			if !p.Started.After(x.Started) {
				e.Page = pageID(i)
			}
		}
		log.Entries = append(log.Entries, e)
	}
	return json.Marshal(harFile{log})
}

func pageID(i int) string { return "page_" + strconv.Itoa(i+1) }

func tool(text, separator string) harTool {
	name, version, _ := strings.Cut(text, separator)
	return harTool{name, version}
}

// newEntry renders an exchange; its body may grow to room bytes when it is decoded.
func newEntry(x *egress.Exchange, room int) harEntry {
	e := harEntry{
		Started: x.Started.UTC().Format(harTime), Time: ms(x.Timings.Total()), ServerIP: x.RemoteAddr,
		Request: newRequest(x), Response: newResponse(x, room),
		Timings: harTimings{Blocked: ms(x.Timings.Blocked), DNS: ms(x.Timings.DNS), Connect: ms(x.Timings.Connect), TLS: ms(x.Timings.TLS),
			Send: max(0, ms(x.Timings.Send)), Wait: max(0, ms(x.Timings.Wait)), Receive: max(0, ms(x.Timings.Receive))},
	}
	if e.Timings.TLS >= 0 {
		e.Timings.Connect = max(0, e.Timings.Connect) + e.Timings.TLS
	}
	if x.Status > 0 && !x.Complete {
		e.Comment = "the body is not complete: " + x.Failure
		if x.Status == http.StatusSwitchingProtocols {
			e.Comment = "a WebSocket: its messages are not recorded"
		}
	}
	return e
}

func ms(d time.Duration) float64 {
	if d < 0 {
		return -1
	}
	return float64(d.Microseconds()) / 1000
}

func newRequest(x *egress.Exchange) harRequest {
	q := harRequest{Method: x.Method, URL: x.URL, Proto: protocol(x.Request.Proto), Cookies: []harCookie{}, Headers: pairs(x.Request.Header),
		Query: []harPair{}, HeadersSize: -1, BodySize: len(x.Request.Body)}
	if u, err := url.Parse(x.URL); err == nil {
		q.Query = pairs(u.Query())
	}
	for _, c := range (&http.Request{Header: x.Request.Header}).Cookies() {
		q.Cookies = append(q.Cookies, harCookie{Name: c.Name, Value: c.Value})
	}
	if len(x.Request.Body) > 0 {
		p := &harPost{MediaType: x.Request.Header.Get("Content-Type"), Params: []harPair{}}
		p.Text, p.Encoding = text(x.Request.Body)
		q.Post = p
	}
	return q
}

func newResponse(x *egress.Exchange, room int) harResponse {
	body, plain := decoded(x.Response, room)
	p := harResponse{Status: x.Status, StatusText: http.StatusText(x.Status), Proto: protocol(x.Response.Proto), Cookies: []harCookie{},
		Headers: pairs(x.Response.Header), Redirect: x.Response.Header.Get("Location"), HeadersSize: -1, BodySize: len(x.Response.Body),
		Content: harContent{Size: len(body), Compression: max(0, len(body)-len(x.Response.Body)), MediaType: x.Response.Header.Get("Content-Type")}}
	p.Content.Text, p.Content.Encoding = text(body)
	if !plain {
		p.Content.Coded = x.Response.Header.Get("Content-Encoding")
	}
	if x.Status == 0 {
		p.BodySize, p.Error, p.Code = -1, x.Failure, x.Code
	}
	for _, c := range (&http.Response{Header: x.Response.Header}).Cookies() {
		h := harCookie{Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, HTTPOnly: c.HttpOnly, Secure: c.Secure}
		if !c.Expires.IsZero() {
			h.Expires = c.Expires.UTC().Format(harTime)
		}
		p.Cookies = append(p.Cookies, h)
	}
	return p
}

func protocol(p string) string {
	if p == "" {
		return "unknown"
	}
	return p
}

// text returns bytes as text, in base64 if they are none.
func text(b []byte) (s, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

func pairs[M ~map[string][]string](m M) []harPair {
	out := []harPair{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, v := range m[name] {
			out = append(out, harPair{name, v})
		}
	}
	return out
}

// ParseHAR reads a HAR, of ours or of a browser. Bodies that it does not have are
// empty; their headers of length and coding are taken out, as bodies are decoded.
func ParseHAR(data []byte) (*Recording, error) {
	var f harFile
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(data), "\ufeff")), &f); err != nil {
		return nil, fmt.Errorf("read a HAR: %w", err)
	}
	if f.Log.Version == "" {
		return nil, fmt.Errorf("read a HAR: %w: no log with a version", ErrFormat)
	}
	r := &Recording{Software: strings.TrimSpace(f.Log.Creator.Name + " " + f.Log.Creator.Version)}
	if b := f.Log.Browser; b != nil {
		r.Browser = b.Name + "/" + b.Version
	}
	for _, p := range f.Log.Pages {
		at, _ := time.Parse(time.RFC3339, p.Started)
		r.Pages = append(r.Pages, Page{URL: p.URL, Title: p.Title, Started: at})
	}
	for i := range f.Log.Entries {
		x, err := f.Log.Entries[i].exchange()
		if err != nil {
			return nil, fmt.Errorf("read a HAR: entry %d: %w", i, err)
		}
		r.Exchanges = append(r.Exchanges, x)
	}
	return r, nil
}

func (e *harEntry) exchange() (x egress.Exchange, err error) {
	if x.Started, err = time.Parse(time.RFC3339, e.Started); err != nil {
		return x, err
	}
	x.Method, x.URL, x.Status, x.RemoteAddr = e.Request.Method, e.Request.URL, e.Response.Status, e.ServerIP
	x.Request = egress.Message{Proto: e.Request.Proto, Header: header(e.Request.Headers)}
	x.Response = egress.Message{Proto: e.Response.Proto, Header: header(e.Response.Headers)}
	x.Failure, x.Code, x.Complete = e.Response.Error, e.Response.Code, e.Response.Status > 0
	if p := e.Request.Post; p != nil {
		if x.Request.Body, err = untext(p.Text, p.Encoding); err != nil {
			return x, err
		}
	}
	if x.Response.Body, err = untext(e.Response.Content.Text, e.Response.Content.Encoding); err != nil {
		return x, err
	}
	x.Response.Header.Del("Content-Length")
	if e.Response.Content.Coded == "" {
		x.Response.Header.Del("Content-Encoding")
	}
	d := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	t := e.Timings
	x.Timings = egress.Timings{Blocked: d(t.Blocked), DNS: d(t.DNS), Connect: d(t.Connect), TLS: d(t.TLS), Send: d(t.Send), Wait: d(t.Wait), Receive: d(t.Receive)}
	if t.TLS > 0 && t.Connect >= t.TLS {
		x.Timings.Connect -= x.Timings.TLS
	}
	return x, nil
}

func header(list []harPair) http.Header {
	h := http.Header{}
	for _, p := range list {
		if strings.HasPrefix(p.Name, ":") { // HTTP/2, as Chrome writes it
			continue
		}
		h.Add(p.Name, p.Value)
	}
	return h
}

func untext(s, encoding string) ([]byte, error) {
	switch {
	case s == "":
		return nil, nil
	case encoding == "base64":
		return base64.StdEncoding.DecodeString(s)
	}
	return []byte(s), nil
}
