// Package cdptest helps tests that need a real browser.
package cdptest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

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

// Shared is one browser for the tests of a package that only need some browser;
// a launch costs a second. Its zero value is ready, TestMain closes it.
type Shared struct {
	once sync.Once
	pool *cdp.Pool
	dir  string
	err  error
}

// Pool returns the pool, with places for two sessions, and launches its browser
// for the first test that asks.
func (s *Shared) Pool(tb testing.TB) *cdp.Pool {
	tb.Helper()
	bin := Binary(tb)
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "cdptest-"); s.err == nil {
			s.pool, s.err = cdp.NewPool(cdp.Options{Binary: bin, Dir: s.dir, Sessions: 2, Browsers: 1})
		}
	})
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.pool
}

// Close ends the browser, after all tests.
func (s *Shared) Close() error {
	if s.pool == nil {
		return nil
	}
	return errors.Join(s.pool.Close(), os.RemoveAll(s.dir))
}

// Main runs the tests of a package, closes shared and looks for goroutines that
// were left. It returns the exit code.
func Main(m *testing.M, shared *Shared) int {
	code := m.Run()
	err := shared.Close()
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
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
	s, err := p.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}
