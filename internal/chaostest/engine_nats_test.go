package chaostest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/internal/nettest"
)

// natsEngine is a cluster of three nodes, each a process with its files.
func natsEngine(t *testing.T, lease time.Duration) *engine {
	t.Helper()
	const nodes = 3
	ports := nettest.FreePorts(t, 2*nodes)
	clients, routes := ports[:nodes], ports[nodes:]
	all := make([]*service, nodes)
	var hosts []string
	for i := range all {
		n := node{Name: fmt.Sprint("node-", i), Client: clients[i], Route: routes[i], Routes: routes, Dir: t.TempDir()}
		config, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = newService(t, func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), nodeVariable+"="+string(config))
			return cmd
		})
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", n.Client))
	}
	to := func(hosts []string) string { return "nats://" + strings.Join(hosts, ",") + "?replicas=3" }
	return &engine{
		direct: to(hosts), every: 50 * time.Millisecond,
		newWay: func() way {
			var w way
			var mine []string
			for _, h := range hosts {
				p := newProxy(t, h)
				w.proxies, mine = append(w.proxies, p), append(mine, p.addr())
			}
			w.url = to(mine)
			return w
		},
		faults: clusterFaults(all, lease),
	}
}

// election is about the time in which a cluster finds a new leader: nodes wait 4 to
// 9 s before they stand for it.
const election = 6 * time.Second

func clusterFaults(all []*service, lease time.Duration) []fault {
	lasts := [2]time.Duration{100 * time.Millisecond, 2 * lease}
	return []fault{
		{"kill a node", lasts, election, func(rng *rand.Rand) func() {
			s := all[rng.IntN(len(all))]
			s.kill()
			return s.start
		}},
		{"freeze a node", lasts, election, func(rng *rand.Rand) func() {
			s := all[rng.IntN(len(all))]
			s.signal(syscall.SIGSTOP)
			return func() { s.signal(syscall.SIGCONT) }
		}},
		{"kill all nodes", lasts, election, func(*rand.Rand) func() {
			for _, s := range all {
				s.kill()
			}
			return func() {
				for _, s := range all {
					s.start()
				}
			}
		}},
	}
}
