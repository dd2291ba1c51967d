package nats_test

import (
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

func TestAddress(t *testing.T) {
	for url, want := range map[string]struct{ servers, shown string }{
		"nats://a:4222":                           {"nats://a:4222", "nats://a:4222"},
		"nats://a:4222,b:4223/?replicas=3":        {"nats://a:4222,nats://b:4223", "nats://a:4222,b:4223?replicas=3"},
		"nats://u:p%40w@a:4222,b:4222?tls=1":      {"nats://u:p%40w@a:4222,nats://u:p%40w@b:4222", "nats://a:4222,b:4222?tls=1"},
		"nats://[::1]:4222":                       {"nats://[::1]:4222", "nats://[::1]:4222"},
		"nats:embedded?dir=var/nats":              {"", "nats:embedded?dir=var/nats"},
		"nats://a:4222?creds=user.creds&ca=x.pem": {"nats://a:4222", "nats://a:4222?creds=user.creds&ca=x.pem"},
	} {
		servers, shown, err := nats.Servers(url, "/etc/waybill")
		if servers != want.servers || shown != want.shown || err != nil {
			t.Errorf("%s: %q, shown as %q, error %v; want %+v", url, servers, shown, err, want)
		}
	}
}

func TestBadAddress(t *testing.T) {
	for _, url := range []string{"nats:", "nats://", "nats:var/nats", "nats:embedded", "nats:embedded?dir=", "nats:embedded?dir=x&replicas=3",
		"nats://a:4222/path", "nats://a:4222?replica=3", "nats://a:4222?replicas=0", "nats://a:4222?replicas=many", "nats://a:4222?tls=no",
		"nats://a:4222?cert=c.pem", "nats://a:4222?tls=1&tls=1", "nats://a:b", "nats://a:4222?%zz", "redis://a:4222"} {
		_, _, err := nats.Servers(url, "")
		if pipeline.CodeOf(err) != "bad-url" {
			t.Errorf("%s: error %v, want bad-url", url, err)
		}
	}
	if _, _, err := nats.Servers("nats://u:secret@a b:4222", ""); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want one without the password", err)
	}
}

func TestToken(t *testing.T) {
	for in, want := range map[string]string{"": "=", "a-b_C9": "a-b_C9", "shop/list.1": "shop=2Flist=2E1", "=": "=3D", "*>": "=2A=3E", "ä": "=C3=A4"} {
		if got := nats.Token(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	long, other := nats.Token(strings.Repeat("x", 512)), nats.Token(strings.Repeat("x", 511))
	if len(long) > 60 || long == other || !strings.HasPrefix(long, "==") || strings.ContainsAny(long, ". *>") {
		t.Errorf("long names are %q and %q", long, other)
	}
}

func TestServerVersion(t *testing.T) {
	for v, ok := range map[string]bool{"2.12.0": true, "2.15.2-beta.1": true, "3.0.0": true, "2.11.9": false, "1.99.0": false, "": false, "x": false} {
		if err := nats.CheckVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}

// The best sample of the last minute counts: the one that took the shortest, so
// that the clock is never ahead of the server's and hardly behind.
func TestClock(t *testing.T) {
	base := time.Now().Add(time.Hour) // the server's clock is an hour ahead
	at := func(ago, trip time.Duration) nats.Sample {
		return nats.Sample{Server: base.Add(-ago - trip), Ago: ago, Trip: trip} // the server answers as soon as it is asked
	}
	for name, tc := range map[string]struct {
		samples []nats.Sample
		behind  time.Duration
	}{
		"one":                 {[]nats.Sample{at(time.Second, 10*time.Millisecond)}, 10 * time.Millisecond},
		"a slow one after it": {[]nats.Sample{at(2*time.Second, 10*time.Millisecond), at(0, time.Second)}, 10 * time.Millisecond},
		"a fast one after it": {[]nats.Sample{at(2*time.Second, time.Second), at(0, 10*time.Millisecond)}, 10 * time.Millisecond},
		"it is old":           {[]nats.Sample{at(2*time.Minute, 10*time.Millisecond), at(0, time.Second)}, time.Second},
	} {
		got := base.Sub(nats.Clock(tc.samples...))
		// The clock runs on while the test does, by less than another sample's error.
		if got > tc.behind+2*time.Millisecond || got < tc.behind-500*time.Millisecond {
			t.Errorf("%s: %v behind the server, want %v at most", name, got, tc.behind)
		}
	}
}
