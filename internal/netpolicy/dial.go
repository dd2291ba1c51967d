package netpolicy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrNotPublic: the address may not be reached. The text names no address that
// the asker did not name.
var ErrNotPublic = errors.New("the host's address is not of the public internet")

// ErrDenied: the address is on a list of what may not be reached.
var ErrDenied = errors.New("the host's address is denied")

// Resolver returns the addresses of a host name.
type Resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// Lookup is the system's resolver.
func Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Dialer connects to a name. Each address is looked at when its socket is made,
// so it makes no difference what the name resolved to a moment ago.
type Dialer struct {
	// Resolve is asked once for each connection; nil: Lookup.
	Resolve Resolver
	// Private allows addresses that are not of the public internet. What cannot
	// be the address of one machine is refused always.
	Private bool
	// Timeout bounds one connection with all its addresses: package http
	// detaches it from the request.
	Timeout time.Duration
	// Refuse, if set, says what is wrong with an address, also under Private:
	// ErrNotPublic, ErrDenied or nil.
	Refuse func(netip.AddrPort) error
	// Via, if set, reaches a checked address by another way than a socket of our
	// own: an upstream proxy.
	Via func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// DialContext tries the addresses of a host in turn. One that is refused ends
// the attempt with ErrNotPublic or ErrDenied: a name that points inside and
// outside is not to be trusted.
func (d Dialer) DialContext(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	for i, a := range addrs {
		var conn net.Conn
		conn, err = d.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port), len(addrs)-i)
		if err == nil || errors.Is(err, ErrNotPublic) || errors.Is(err, ErrDenied) {
			return conn, err
		}
	}
	return nil, err
}

func (d Dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if d.Resolve == nil {
		return Lookup(ctx, host)
	}
	return d.Resolve(ctx, host)
}

// dial connects to one address within its part of the time that is left for so
// many.
func (d Dialer) dial(ctx context.Context, network, addrPort string, left int) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	if d.Via != nil {
		if err := d.control(network, addrPort, nil); err != nil {
			return nil, err
		}
		return d.Via(ctx, netip.MustParseAddrPort(addrPort)) // control has read it
	}
	return (&net.Dialer{Control: d.control}).DialContext(ctx, network, addrPort)
}

// control sees the address of a socket before it connects.
func (d Dialer) control(_, addrPort string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(addrPort)
	if err != nil || !IsHost(a.Addr()) || !d.Private && !IsPublic(a.Addr()) {
		return ErrNotPublic
	}
	if d.Refuse != nil {
		return d.Refuse(a)
	}
	return nil
}
