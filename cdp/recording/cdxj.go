package recording

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// cdxj is an index of a WARC: sorted lines of a key that can be searched, a time
// and a JSON object (specs.webrecorder.net/cdxj/0.1.0).
type cdxj struct{ lines []string }

type cdxjLine struct {
	URL      string `json:"url"`
	Media    string `json:"mime"`
	Status   string `json:"status"`
	Digest   string `json:"digest"`
	Length   string `json:"length"`
	Offset   string `json:"offset"`
	Filename string `json:"filename"`
	Method   string `json:"method,omitempty"`
}

func (c *cdxj) add(x *egress.Exchange, at placed) error {
	u, err := url.Parse(x.URL)
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(x.Response.Header.Get("Content-Type"))
	if err != nil {
		media = "unk" // nothing, or nothing that can be read
	}
	line := cdxjLine{URL: x.URL, Media: media, Status: strconv.Itoa(x.Status), Digest: warcDigest(x.Response.Body),
		Length: strconv.Itoa(at.length), Offset: strconv.Itoa(at.offset), Filename: path.Base(warcFile)}
	if x.Method != http.MethodGet {
		line.Method = x.Method
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return err
	}
	c.lines = append(c.lines, surt(u)+" "+x.Started.UTC().Format("20060102150405")+" "+b.String())
	return nil
}

func (c *cdxj) bytes() []byte {
	slices.Sort(c.lines)
	return []byte(strings.Join(c.lines, ""))
}

// wwwPrefix is what keys leave out of a host.
var wwwPrefix = regexp.MustCompile(`^www[0-9]*\.`)

// surt turns a URL round so that hosts of one domain stand together:
// com,example)/path?query, in lower case, parameters sorted (Sort-friendly URI
// Reordering Transform, as players compute it).
func surt(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if a, err := netip.ParseAddr(host); err != nil {
		labels := strings.Split(wwwPrefix.ReplaceAllString(host, ""), ".")
		slices.Reverse(labels)
		host = strings.Join(labels, ",")
	} else if a.Is6() {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	rest := u.EscapedPath()
	if rest == "" {
		rest = "/"
	}
	if u.RawQuery != "" {
		parameters := strings.Split(u.RawQuery, "&")
		slices.Sort(parameters)
		rest += "?" + strings.Join(parameters, "&")
	}
	return host + ")" + strings.ToLower(rest)
}
