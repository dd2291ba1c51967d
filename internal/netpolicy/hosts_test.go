package netpolicy

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestHostsOnTheList(t *testing.T) {
	list := ParseHosts([]string{"api.example.com", "Case.Example.COM", "port.example.com:8443", "*.tree.example.com", "*.p.example.com:81",
		"192.0.2.7", "192.0.2.8:8080", "2001:db8::1", "[2001:db8::2]", "[2001:db8:0::3]:8080", "localhost:9000", "*.any.example.com:*", "*.localhost:9001"})
	if len(list) != 13 {
		t.Fatalf("%d patterns were read", len(list))
	}
	for text, want := range map[string]bool{
		"http://api.example.com/":              true,
		"https://api.example.com/x?y=z":        true,
		"http://API.example.com:80/":           true,
		"https://api.example.com:443/":         true,
		"http://api.example.com:443/":          false, // not the scheme's own
		"https://api.example.com:80/":          false,
		"http://api.example.com:8080/":         false,
		"http://api.example.com./":             false,
		"http://xapi.example.com/":             false,
		"http://api.example.com.invalid/":      false,
		"http://example.com/":                  false,
		"http://case.example.com/":             true,
		"https://port.example.com:8443/":       true,
		"http://port.example.com:8443/":        true,
		"https://port.example.com/":            false,
		"https://port.example.com:08443/":      false,
		"http://a.tree.example.com/":           true,
		"http://a.b.tree.example.com/":         true,
		"http://tree.example.com/":             false,
		"http://.tree.example.com/":            false,
		"http://xtree.example.com/":            false,
		"http://x\u3002tree.example.com/":      false, // an ideographic full stop
		"http://x\u3002y.tree.example.com/":    false,
		"http://a.tree.example.com:8080/":      false,
		"http://a.p.example.com:81/":           true,
		"http://a.p.example.com/":              false,
		"http://192.0.2.7/":                    true,
		"http://192.0.2.7:8080/":               false,
		"http://192.0.2.8:8080/":               true,
		"http://[2001:db8::1]/":                true,
		"http://[2001:db8:0:0:0:0:0:1]/":       true,
		"http://[2001:db8::2]/":                true,
		"http://[2001:db8::3]:8080/":           true,
		"http://[::ffff:192.0.2.7]/":           true, // the same machine
		"http://[2001:db8::1%25eth0]/":         false,
		"http://localhost:9000/":               true,
		"http://localhost/":                    false,
		"http://a.any.example.com/":            true,
		"http://a.localhost:9001/":             true,
		"http://localhost:9001/":               false,
		"https://a.any.example.com:81/":        true,
		"https://any.example.com:81/":          false,
		"http://api.example.com@example.com/x": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Allows(u); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}

func TestPatternsThatCannotBe(t *testing.T) {
	for _, text := range []string{"", "*", "*.", "*.com", "a.*.example.com", "*example.com", "http://example.com", "example.com/x",
		"example.com:", "example.com:0", "example.com:080", "example.com:65536", "example.com:99999999999999999999", "example.com:http",
		"exämple.com", "a..example.com", "-a.example.com", "a-.example.com", "user@example.com", "example.com.", "fe80::1%eth0",
		strings.Repeat("a", 64) + ".example.com", strings.Repeat("abcdefgh.", 30) + "com"} {
		if p, err := ParsePattern(text); err == nil {
			t.Errorf("%q was read as %+v", text, p)
		}
	}
}

// A list of what is forbidden is read the other way round: without a port, all
// ports are meant.
func TestHostsThatAreForbidden(t *testing.T) {
	list := ParseHosts([]string{"bad.example.com", "port.example.com:81", "*.tree.example.com"})
	for text, want := range map[string]bool{
		"http://bad.example.com/":         true,
		"https://BAD.example.com:8443/":   true,
		"https://port.example.com:81/":    true,
		"https://port.example.com/":       false,
		"http://a.tree.example.com:8080/": true,
		"http://tree.example.com/":        false,
		"http://good.example.com/":        false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Denies(u); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}

// A name that leads to a forbidden address does not open it, however the address
// is written.
func TestAddressesThatAreForbidden(t *testing.T) {
	list := ParseHosts([]string{"192.0.2.7", "192.0.2.8:81", "2001:db8::1", "[::ffff:192.0.2.9]:*", "bad.example.com"})
	for text, want := range map[string]bool{
		"192.0.2.7:80": true, "[::ffff:192.0.2.7]:80": true, "[64:ff9b::c000:207]:443": true,
		"192.0.2.8:80": false, "192.0.2.8:81": true,
		"[2001:db8::1]:80": true, "[2001:db8::1%eth0]:80": true, "192.0.2.9:80": true,
		"192.0.2.10:80": false, "[2001:db8::2]:80": false,
	} {
		if got := list.DeniesAddress(netip.MustParseAddrPort(text)); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
	for _, text := range []string{"http://[::ffff:192.0.2.7]/", "http://[::ffff:c000:207]:8080/"} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if !list.Denies(u) {
			t.Errorf("%s is not denied", text)
		}
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]bool{"a.example": true, "LOCALHOST": true, "a_b.example": true, "": false, "192.0.2.7": false, "::1": false,
		"a.example:80": false, "http://a.example": false, "*.a.example": false, "a.example.": false} {
		if got := IsName(text); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}
