package capability

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// special are the ranges of global unicast space that are not the public
// internet (IANA special-purpose address registries, RFC 6890).
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")      // RFC 4291: all that is given out
	nat64         = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052: an IPv4 address is its end
	broadcast     = netip.MustParseAddr("255.255.255.255") // RFC 919
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// isPublic tells whether an address belongs to the public internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Zone() != "" || a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// isHost tells whether an address can be that of one machine.
func isHost(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast
}

// dialer connects to a name. Each address is looked at when its socket is made,
// so it makes no difference what the name resolved to a moment ago.
type dialer struct {
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	private bool
	timeout time.Duration // of one attempt: package http detaches it from the request
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// DialContext tries the addresses of a host in turn. One that is refused ends
// the attempt: a name that points inside and outside is not to be trusted.
func (d dialer) DialContext(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	for i, a := range addrs {
		var conn net.Conn
		conn, err = d.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port), len(addrs)-i)
		var refused *Error
		if err == nil || errors.As(err, &refused) {
			return conn, err
		}
	}
	return nil, err
}

func (d dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return d.resolve(ctx, host)
}

// dial connects to one address within its part of the time that is left for so
// many.
func (d dialer) dial(ctx context.Context, network, addrPort string, left int) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	return (&net.Dialer{Control: d.control}).DialContext(ctx, network, addrPort)
}

// control sees the address of a socket before it connects.
func (d dialer) control(_, addrPort string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(addrPort)
	if err != nil {
		return fault(Denied, "the host has no usable address")
	}
	if !isHost(a.Addr()) || !d.private && !isPublic(a.Addr()) {
		return fault(Denied, "the host's address is not of the public internet")
	}
	return nil
}
