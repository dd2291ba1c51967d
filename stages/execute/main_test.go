package execute_test

import (
	"os"
	"testing"

	"github.com/waybill-dev/waybill/cdp/cdptest"
)

// shared is one browser for the tests that only need some browser.
var shared cdptest.Shared

func TestMain(m *testing.M) { os.Exit(cdptest.Main(m, &shared)) }
