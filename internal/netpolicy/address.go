package netpolicy

import "net/netip"

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

// embedded returns the IPv4 address that an IPv6 address leads to (RFC 4291,
// section 2.5.5.2; RFC 6052), else the address itself.
func embedded(a netip.Addr) netip.Addr {
	if a = a.Unmap(); nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// IsPublic tells whether an address belongs to the public internet.
func IsPublic(a netip.Addr) bool {
	a = embedded(a)
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

// IsHost tells whether an address can be that of one machine.
func IsHost(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != broadcast
}
