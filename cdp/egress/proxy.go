package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/internal/netpolicy"
)

// dialTimeout bounds a connection with all addresses of its host.
const dialTimeout = 15 * time.Second

// Proxy hands out leases under one policy. Its methods may be called from
// several goroutines.
type Proxy struct {
	policy             Policy
	allow, deny, trace netpolicy.Hosts
	dialer             netpolicy.Dialer
	limiter            *limiter
	robots             *robots
	mint               *mint

	mu     sync.Mutex
	leases map[netip.AddrPort]*Lease
	closed bool
}

// New makes a proxy; nothing listens before the first lease. Close it.
func New(p Policy) (*Proxy, error) {
	if found := p.Problems(); len(found) > 0 {
		return nil, fmt.Errorf("%s: %s (%s)", found[0].Field, found[0].Message, found[0].Hint)
	}
	p = p.withDefaults()
	x := &Proxy{
		policy:  p,
		allow:   netpolicy.ParseHosts(p.Allow),
		deny:    netpolicy.ParseHosts(p.Deny),
		trace:   netpolicy.ParseHosts(p.Trace),
		limiter: newLimiter(p.PerHost),
		leases:  map[netip.AddrPort]*Lease{},
	}
	x.dialer = netpolicy.Dialer{Resolve: x.resolve, Private: p.Private, Timeout: dialTimeout, Refuse: x.refuse}
	if p.Upstream != nil {
		x.dialer.Via = upstream{p.Upstream}.dial
	}
	var err error
	if x.mint, err = newMint(); err != nil {
		return nil, err
	}
	if p.Robots {
		x.robots = newRobots(x)
	}
	return x, nil
}

// SPKI is the hash of the key of the proxy's certificates (base64 of SHA-256), as
// Chrome's --ignore-certificate-errors-spki-list wants it. It is another one for
// each proxy.
func (x *Proxy) SPKI() string { return x.mint.spki }

// Inspects tells whether the policy looks inside TLS for every visit.
func (x *Proxy) Inspects() bool { return x.policy.Inspect }

// resolve returns the addresses of a name: the policy's own, loopback for
// localhost and all names below it (RFC 6761, section 6.3), else the resolver's.
func (x *Proxy) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if a, ok := x.policy.Hosts[host]; ok {
		return []netip.Addr{a}, nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if x.policy.Resolve != nil {
		return x.policy.Resolve(ctx, host)
	}
	return netpolicy.Lookup(ctx, host)
}

// refuse looks at an address that may be reached by its kind: not the proxy
// itself, and none of Deny, whatever name led there.
func (x *Proxy) refuse(a netip.AddrPort) error {
	switch {
	case x.isOwn(a):
		return netpolicy.ErrNotPublic
	case x.deny.DeniesAddress(a):
		return netpolicy.ErrDenied
	}
	return nil
}

// isOwn keeps pages away from the proxy itself, whatever is private.
func (x *Proxy) isOwn(a netip.AddrPort) bool {
	if !a.Addr().Unmap().IsLoopback() {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for own := range x.leases {
		if own.Port() == a.Port() {
			return true
		}
	}
	return false
}

// Lease opens a way out for one browser context. Close it.
func (x *Proxy) Lease() (*Lease, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the browser: %w", err)
	}
	lease := newLease(x, l)
	x.mu.Lock()
	closed := x.closed
	if !closed {
		x.leases[lease.addr] = lease
	}
	x.mu.Unlock()
	if closed {
		_ = l.Close()
		return nil, net.ErrClosed
	}
	lease.serve()
	return lease, nil
}

// Close ends all leases and everything that goes through them.
func (x *Proxy) Close() error {
	x.mu.Lock()
	x.closed = true
	open := make([]*Lease, 0, len(x.leases))
	for _, l := range x.leases {
		open = append(open, l)
	}
	x.mu.Unlock()
	for _, l := range open {
		l.Close()
	}
	if x.robots != nil {
		x.robots.close()
	}
	return nil
}
