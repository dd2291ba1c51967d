package capability

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// pattern is one entry of an allow-list of hosts.
type pattern struct {
	host string // lower case, an address in its shortest form
	tree bool   // every name below host, not host itself
	port string // empty: the default one of the scheme
}

// parsePattern reads "host", "host:port", "*.host", "*.host:port".
func parsePattern(text string) (pattern, error) {
	var p pattern
	host := strings.ToLower(text)
	if h, port, err := net.SplitHostPort(host); err == nil {
		if !isPort(port) {
			return p, fmt.Errorf("%q is not a port", port)
		}
		host, p.port = h, port
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		p.host = addr.String()
		return p, nil
	}
	p.host, p.tree = strings.CutPrefix(host, "*.")
	if !isName(p.host) {
		return p, fmt.Errorf("%q is neither a host name nor an address", text)
	}
	if p.tree && !strings.Contains(p.host, ".") {
		return p, fmt.Errorf("%q covers a whole top-level domain", text)
	}
	return p, nil
}

func isPort(s string) bool {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return n > 0 && n <= 65535 && s[0] != '0'
}

// isName tells whether s is a host name of letters, digits, hyphens and
// underscores (RFC 1123, and what is in use). Other scripts are written in
// punycode.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// hostList is an allow-list of hosts.
type hostList []pattern

// allows tells whether a URL's host and port are on the list.
func (l hostList) allows(u *url.URL) bool {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	usual := defaultPort(u.Scheme)
	if port == "" {
		port = usual
	}
	for _, p := range l {
		want := p.port
		if want == "" {
			want = usual
		}
		if port == want && p.covers(host) {
			return true
		}
	}
	return false
}

func (p pattern) covers(host string) bool {
	if !p.tree {
		return host == p.host
	}
	label, ok := strings.CutSuffix(host, "."+p.host)
	return ok && isName(label)
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
