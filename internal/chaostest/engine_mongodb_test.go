package chaostest

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/nettest"
)

// mongodbEngine is the wire server of the tests, with a journal: what it has
// answered to survives its kill.
func mongodbEngine(t *testing.T, lease time.Duration) *engine {
	t.Helper()
	addr := fmt.Sprint("127.0.0.1:", nettest.FreePorts(t, 1)[0])
	journal := filepath.Join(t.TempDir(), "journal")
	s := newService(t, func() *exec.Cmd { return exec.Command(wire, "-listen", addr, "-journal", journal) })
	// A client that asks the set for its members would go round the proxies.
	to := func(addr string) string { return "mongodb://" + addr + "/jobs?directConnection=true" }
	lasts := [2]time.Duration{100 * time.Millisecond, 2 * lease}
	return &engine{
		direct: to(addr), every: 250 * time.Millisecond,
		newWay: func() way {
			p := newProxy(t, addr)
			return way{to(p.addr()), []*proxy{p}}
		},
		faults: []fault{
			{"kill the server", lasts, noRest, func(*rand.Rand) func() { s.kill(); return s.start }},
			{"freeze the server", lasts, noRest, func(*rand.Rand) func() {
				s.signal(syscall.SIGSTOP)
				return func() { s.signal(syscall.SIGCONT) }
			}},
		},
	}
}
