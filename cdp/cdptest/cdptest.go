// Package cdptest helps tests that need a real browser.
package cdptest

import (
	"os"
	"testing"

	"github.com/waybill-dev/waybill/cdp"
)

// EnvNoBrowser set to 1 skips tests that need a browser.
const EnvNoBrowser = "WAYBILL_NO_BROWSER"

// Binary finds the browser for a test. Without one the test fails and says what
// to install; only WAYBILL_NO_BROWSER=1 skips it.
func Binary(tb testing.TB) cdp.Binary {
	tb.Helper()
	if os.Getenv(EnvNoBrowser) == "1" {
		tb.Skip("needs a browser, and " + EnvNoBrowser + "=1 says to go without")
	}
	bin, err := cdp.Find("")
	if err != nil {
		tb.Fatalf("%v (or set %s=1 to skip)", err, EnvNoBrowser)
	}
	return bin
}

// Options are options for a test: the browser, and a profile folder that Chrome
// can reach and that is gone after the test.
func Options(tb testing.TB) cdp.Options {
	tb.Helper()
	bin := Binary(tb)
	dir, err := os.MkdirTemp("", "cdptest-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return cdp.Options{Binary: bin, Dir: dir}
}

// Pool starts a pool that is closed after the test.
func Pool(tb testing.TB, o cdp.Options) *cdp.Pool {
	tb.Helper()
	p, err := cdp.NewPool(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// Acquire opens a session that is closed after the test.
func Acquire(tb testing.TB, p *cdp.Pool) *cdp.Session {
	tb.Helper()
	s, err := p.Acquire(tb.Context(), "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}
