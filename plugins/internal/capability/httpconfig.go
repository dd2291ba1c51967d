package capability

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// Defaults and bounds of HTTPConfig.
const (
	DefaultHTTPTimeout = 10 * time.Second
	DefaultHTTPSize    = 1 << 20 // of a request and of a response
	MaxHTTPSize        = 1 << 30
)

// HTTPConfig is what a kernel may do over HTTP. A zero field has its default.
type HTTPConfig struct {
	// Hosts that may be asked: "api.example.com", "*.example.com" (any name
	// below, not example.com itself), "192.0.2.7", "[2001:db8::1]", each with or
	// without a port; "*" is any. Without one, it is the scheme's: 80 or 443.
	Hosts []string
	// Methods that may be used; GET and HEAD by default.
	Methods []string
	// Timeout of one request with its redirects; 10 s by default.
	Timeout time.Duration
	// Request and Response are the largest encoded message in bytes; 1 MiB by
	// default.
	Request, Response int64
	// Private allows addresses that are not of the public internet: loopback,
	// private and link-local ones. It allows credentials without TLS too.
	Private bool
	// Credentials by the name under which a guest asks for them.
	Credentials map[string]Credential

	// Roots are the certificate authorities; nil: the system's.
	Roots *x509.CertPool
	// Resolve returns the addresses of a host; nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Credential is a header that the host adds and the guest never sees.
type Credential struct {
	// Header is its name, such as Authorization, and Value its whole value.
	Header, Value string
	// Hosts that it may be sent to, in the form of HTTPConfig.Hosts; empty: all
	// of them.
	Hosts []string
}

func (c HTTPConfig) withDefaults() HTTPConfig {
	if len(c.Methods) == 0 {
		c.Methods = []string{http.MethodGet, http.MethodHead}
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultHTTPTimeout
	}
	if c.Request == 0 {
		c.Request = DefaultHTTPSize
	}
	if c.Response == 0 {
		c.Response = DefaultHTTPSize
	}
	return c
}

// NewHTTP makes a client; the error names everything that is wrong. The caller
// closes it.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	if found := c.Problems(); len(found) > 0 {
		return nil, join(found)
	}
	c = c.withDefaults()
	h := &HTTP{config: c, hosts: netpolicy.ParseHosts(c.Hosts), credentials: make(map[string]credential)}
	for name, cred := range c.Credentials {
		ready := credential{http.CanonicalHeaderKey(cred.Header), cred.Value, netpolicy.ParseHosts(cred.Hosts)}
		if len(ready.hosts) == 0 {
			ready.hosts = h.hosts
		}
		h.credentials[name] = ready
	}
	h.client = http.Client{CheckRedirect: h.redirect, Transport: &http.Transport{
		DialContext:            netpolicy.Dialer{Resolve: c.Resolve, Private: c.Private, Timeout: c.Timeout}.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		TLSClientConfig:        &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTimeout,
	}}
	return h, nil
}

// Problems lists what is wrong with the configuration.
func (c HTTPConfig) Problems() []Problem {
	found := hostProblems("hosts", c.Hosts)
	if len(c.Hosts) == 0 {
		found = append(found, Problem{"hosts", "no host is named", "name each host, like api.example.com or *.example.com"})
	}
	for i, m := range c.Methods {
		if !isToken(m) || m == http.MethodConnect || m == http.MethodTrace {
			found = append(found, Problem{fmt.Sprintf("methods[%d]", i), fmt.Sprintf("method %q cannot be granted", m), "methods are upper-case, like GET or POST"})
		}
	}
	if c.Timeout < 0 {
		found = append(found, Problem{"timeout", "must be more than 0", ""})
	}
	for _, s := range []struct {
		path string
		size int64
	}{{"request", c.Request}, {"response", c.Response}} {
		if s.size < 0 || s.size > MaxHTTPSize {
			found = append(found, Problem{s.path, "must be 1 byte to 1GiB", ""})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Credentials)) {
		found = append(found, c.Credentials[name].problems("credentials."+name)...)
	}
	return found
}

func (c Credential) problems(path string) []Problem {
	var found []Problem
	switch {
	case !isToken(c.Header):
		found = append(found, Problem{path + ".header", fmt.Sprintf("%q is not a header's name", c.Header), "such as Authorization"})
	case isOwnHeader(http.CanonicalHeaderKey(c.Header)):
		found = append(found, Problem{path + ".header", c.Header + " is set by the host", "such as Authorization"})
	}
	if c.Value == "" || !isFieldValue(c.Value) {
		found = append(found, Problem{path + ".value", "is empty or has control characters", "a line feed at the end of a file counts too"})
	}
	return append(found, hostProblems(path+".hosts", c.Hosts)...)
}

func hostProblems(path string, hosts []string) []Problem {
	var found []Problem
	for i, text := range hosts {
		if _, err := netpolicy.ParsePattern(text); err != nil {
			found = append(found, Problem{fmt.Sprintf("%s[%d]", path, i), err.Error(),
				"write api.example.com, api.example.com:8443 or *.example.com, without scheme and path"})
		}
	}
	return found
}
