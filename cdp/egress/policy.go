package egress

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// Policy says what may be reached. The zero value allows all public hosts.
type Policy struct {
	// Allow lists the hosts that may be reached: "example.com",
	// "example.com:8443", "*.example.com" (any name below), "192.0.2.7", each
	// with a port, with "*" for any port, or without one for the scheme's own.
	// Empty: every host.
	Allow []string
	// Deny lists hosts that may not be reached, also if Allow has them. Without
	// a port all ports are meant. An address there is not reached by any name.
	Deny []string
	// Private allows addresses that are not of the public internet.
	Private bool
	// Hosts gives names fixed addresses instead of asking a resolver. They are
	// checked like any other.
	Hosts map[string]netip.Addr
	// Upstream is an http or https proxy that connections go through; nil: none.
	// It is asked for addresses that were checked here, never for names.
	Upstream *url.URL
	// Block lists types of resources that are not fetched; see Types.
	Block []string
	// PerHost limits the requests to one host, over all leases.
	PerHost Rate
	// Robots asks each host's robots.txt and keeps to it, under the name Agent.
	Robots bool
	// Agent is the product token that robots.txt is read for; default waybill.
	Agent string
	// Bytes is how much one visit may send and receive, heads included; 0: 50 MiB.
	Bytes int64
	// Trace lists the hosts that are told the visit's traceparent.
	Trace []string
	// Inspect looks at single requests inside TLS. What needs it switches it on:
	// Block, PerHost, Robots, Trace, and visits that record or replay.
	Inspect bool

	// Resolve returns the addresses of a host; nil: the system's resolver.
	Resolve netpolicy.Resolver
	// Roots are the certificate authorities for inspection; nil: the system's.
	Roots *x509.CertPool
}

// DefaultBytes is how much a visit may send and receive unless said otherwise.
const DefaultBytes = 50 << 20

// Rate is a number of requests in a time. The zero value is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	// Field is the name of the field, with an index: "allow[2]".
	Field string
	// Message says what is wrong, Hint what would be right.
	Message, Hint string
}

// Problems lists what is wrong with the policy.
func (p Policy) Problems() (found []Problem) {
	for _, list := range []struct {
		field string
		hosts []string
	}{{"allow", p.Allow}, {"deny", p.Deny}, {"traceparent", p.Trace}} {
		for i, text := range list.hosts {
			if _, err := netpolicy.ParsePattern(text); err != nil {
				found = append(found, Problem{fmt.Sprintf("%s[%d]", list.field, i), err.Error(),
					"write example.com, example.com:8443, example.com:* or *.example.com, without scheme and path"})
			}
		}
	}
	if u := p.Upstream; u != nil && (u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "") {
		found = append(found, Problem{"proxy", "want the URL of an http or https proxy", "http://proxy.example.com:3128"})
	}
	for name := range p.Hosts {
		if !netpolicy.IsName(name) {
			found = append(found, Problem{fmt.Sprintf("hosts[%q]", name), fmt.Sprintf("%q is not the name of a host", name), "write shop.example, without scheme, port and path"})
		}
	}
	for i, name := range p.Block {
		if !slices.Contains(Types(), name) {
			found = append(found, Problem{fmt.Sprintf("block[%d]", i), fmt.Sprintf("%q is not a type that can be blocked", name),
				fmt.Sprintf("one of %v", Types())})
		}
	}
	return found
}

func (p Policy) withDefaults() Policy {
	if p.Bytes <= 0 {
		p.Bytes = DefaultBytes
	}
	if p.Agent == "" {
		p.Agent = "waybill"
	}
	p.Inspect = p.Inspect || len(p.Block) > 0 || p.PerHost.Requests > 0 || p.Robots || len(p.Trace) > 0
	return p
}
