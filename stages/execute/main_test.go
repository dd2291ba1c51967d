package execute_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// shared is one browser for the tests that only need some browser.
var shared struct {
	once sync.Once
	pool *cdp.Pool
	dir  string
	err  error
}

func sharedPool(t *testing.T) *cdp.Pool {
	t.Helper()
	bin := cdptest.Binary(t)
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "executetest-"); shared.err == nil {
			shared.pool, shared.err = cdp.NewPool(cdp.Options{Binary: bin, Dir: shared.dir, Sessions: 2})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.pool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.pool != nil {
		_ = shared.pool.Close()
	}
	if err := os.RemoveAll(shared.dir); err != nil && shared.dir != "" {
		fmt.Println(err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}
