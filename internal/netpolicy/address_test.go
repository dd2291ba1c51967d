package netpolicy

import (
	"net/netip"
	"testing"
)

func TestAddresses(t *testing.T) {
	const public, private, never = "public", "private", "never"
	for text, want := range map[string]string{
		"8.8.8.8": public, "1.1.1.1": public, "100.63.255.255": public, "100.128.0.0": public, "172.15.255.255": public,
		"172.32.0.0": public, "192.167.255.255": public, "198.17.255.255": public, "223.255.255.255": public,
		"2001:4860:4860::8888": public, "2a00:1450::1": public, "3ffe::1": public,

		"10.0.0.1": private, "127.0.0.1": private, "127.255.255.255": private, "100.64.0.1": private, "100.127.255.255": private,
		"169.254.169.254": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private,
		"192.0.0.8": private, "192.0.2.1": private, "198.18.0.1": private, "198.51.100.1": private, "203.0.113.1": private,
		"240.0.0.1": private, "0.1.2.3": private,
		"::1": private, "fe80::1": private, "fe80::1%eth0": private, "fc00::1": private, "fd12:3456::1": private, "fec0::1": private,
		"2001::1": private, "2001:db8::1": private, "2002:7f00:1::": private, "3fff::1": private, "100::1": private, "::7f00:1": private,
		"64:ff9b:1::7f00:1": private, "5f00::1": private,

		"::ffff:8.8.8.8": public, "::ffff:127.0.0.1": private, "::ffff:10.1.2.3": private, "::ffff:169.254.169.254": private,
		"64:ff9b::808:808": public, "64:ff9b::7f00:1": private, "64:ff9b::a01:203": private, "64:ff9b::a9fe:a9fe": private,

		"0.0.0.0": never, "::": never, "::ffff:0.0.0.0": never, "224.0.0.1": never, "239.255.255.255": never, "255.255.255.255": never,
		"ff02::1": never, "ff0e::1": never,
	} {
		a := netip.AddrPortFrom(netip.MustParseAddr(text), 80).String()
		if got := (Dialer{}).control("tcp", a, nil) == nil; got != (want == public) {
			t.Errorf("%s: allowed is %t, it is %s", text, got, want)
		}
		if got := (Dialer{Private: true}).control("tcp", a, nil) == nil; got != (want != never) {
			t.Errorf("%s: allowed is %t with private, it is %s", text, got, want)
		}
	}
	for _, text := range []string{"", "example.com:80", "8.8.8.8", "8.8.8.8:x"} {
		if (Dialer{Private: true}).control("tcp", text, nil) == nil {
			t.Errorf("%q was taken for an address", text)
		}
	}
	if IsPublic(netip.Addr{}) || IsHost(netip.Addr{}) {
		t.Error("no address at all is one")
	}
}
