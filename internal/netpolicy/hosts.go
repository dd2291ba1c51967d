package netpolicy

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Pattern is one entry of a list of hosts.
type Pattern struct {
	host string // lower case, an address in its shortest form
	tree bool   // every name below host, not host itself
	port string // empty: none was given; "*": any
}

// ParsePattern reads "host", "host:port", "*.host", "*.host:port"; the port "*"
// is any port.
func ParsePattern(text string) (Pattern, error) {
	var p Pattern
	host := strings.ToLower(text)
	if h, port, err := net.SplitHostPort(host); err == nil {
		if port != anyPort && !isPort(port) {
			return p, fmt.Errorf("%q is not a port", port)
		}
		host, p.port = h, port
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		p.host = addr.Unmap().String()
		return p, nil
	}
	p.host, p.tree = strings.CutPrefix(host, "*.")
	if !isName(p.host) {
		return p, fmt.Errorf("%q is neither a host name nor an address", text)
	}
	if p.tree && p.host != "localhost" && !strings.Contains(p.host, ".") { // *.localhost is this machine (RFC 6761)
		return p, fmt.Errorf("%q covers a whole top-level domain", text)
	}
	return p, nil
}

// anyPort is the port of a pattern that covers all of them.
const anyPort = "*"

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

// IsName tells whether s can be the name of one host: letters, digits, hyphens and
// underscores; other scripts are written in punycode.
func IsName(s string) bool {
	_, err := netip.ParseAddr(s)
	return err != nil && isName(strings.ToLower(s))
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

// Hosts is a list of hosts.
type Hosts []Pattern

// ParseHosts reads a list and leaves out what ParsePattern refuses: whoever
// reads a user's list reports that first.
func ParseHosts(texts []string) Hosts {
	list := make(Hosts, 0, len(texts))
	for _, text := range texts {
		if p, err := ParsePattern(text); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// Allows tells whether a URL's host and port are on the list. An entry without a
// port stands for the scheme's own one.
func (l Hosts) Allows(u *url.URL) bool {
	usual := defaultPort(u.Scheme)
	return l.match(u, func(p Pattern, port string) bool { return port == p.port || p.port == "" && port == usual })
}

// Denies tells whether a URL's host and port are on the list, read as a list of
// what is forbidden: an entry without a port stands for all of them.
func (l Hosts) Denies(u *url.URL) bool {
	return l.match(u, func(p Pattern, port string) bool { return p.port == "" || port == p.port })
}

// DeniesAddress tells whether an address that a name led to is on the list of what
// is forbidden. Its port must match an entry that has one.
func (l Hosts) DeniesAddress(a netip.AddrPort) bool {
	host, port := embedded(a.Addr()).WithZone("").String(), strconv.Itoa(int(a.Port()))
	for _, p := range l {
		if p.host == host && (p.port == "" || p.port == anyPort || p.port == port) {
			return true
		}
	}
	return false
}

func (l Hosts) match(u *url.URL, portMatches func(Pattern, string) bool) bool {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	for _, p := range l {
		if p.covers(host) && (p.port == anyPort || portMatches(p, port)) {
			return true
		}
	}
	return false
}

func (p Pattern) covers(host string) bool {
	if !p.tree {
		return host == p.host
	}
	label, ok := strings.CutSuffix(host, "."+p.host)
	return ok && isName(label)
}

func defaultPort(scheme string) string {
	if scheme == "https" || scheme == "wss" {
		return "443"
	}
	return "80"
}
