package egress

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// A visit is a lease with one request, as a fresh browser context makes it. The
// floor is the same request without the proxy.
func BenchmarkVisit(b *testing.B) {
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer o.Close()
	x, err := New(Policy{Private: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	once := func(b *testing.B, tr *http.Transport) {
		resp, err := tr.RoundTrip(httptest.NewRequest(http.MethodGet, o.URL, nil))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
	}
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			once(b, &http.Transport{})
		}
	})
	b.Run("proxy", func(b *testing.B) {
		for b.Loop() {
			l, err := x.Lease()
			if err != nil {
				b.Fatal(err)
			}
			l.Begin(Visit{})
			once(b, &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr()})})
			l.Close()
		}
	})
}
