package cdp_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// envChild makes the test binary a process that owns a browser and is killed.
const envChild = "CDP_TEST_CHILD"

// shared is one browser for the tests that only need some page. Those that kill
// it, or set options, have one of their own.
var shared cdptest.Shared

func TestMain(m *testing.M) {
	if dir := os.Getenv(envChild); dir != "" {
		child(dir)
		return
	}
	os.Exit(cdptest.Main(m, &shared))
}

// child launches a browser in dir, says so, and waits to be killed.
func child(dir string) {
	bin, err := cdp.Find("")
	if err != nil {
		panic(err)
	}
	p, err := cdp.NewPool(cdp.Options{Binary: bin, Dir: dir})
	if err != nil {
		panic(err)
	}
	s, err := p.Acquire(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(s.PID())
	select {}
}

// eventually waits for a condition, which is all that can be done about other
// processes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
