package chaostest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeVariable makes this test binary a node of a NATS cluster: its value is a
// node as JSON.
const nodeVariable = "WAYBILL_CHAOS_NODE"

// node is one server of a cluster, in a process of its own.
type node struct {
	Name   string
	Client int // port
	Route  int // port
	Routes []int
	Dir    string
}

// beNode serves until standard input ends, so that no node outlives its test.
func beNode(config string) int {
	var n node
	if err := json.Unmarshal([]byte(config), &n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := server.NewServer(n.options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		fmt.Fprintln(os.Stderr, n.Name, "does not start")
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// options flush each write before it is confirmed, and tell clients of no
// address but the one that they have: it is a proxy's.
func (n node) options() *server.Options {
	o := &server.Options{ServerName: n.Name, Host: "127.0.0.1", Port: n.Client, NoSigs: true, NoLog: true, JetStream: true,
		StoreDir: n.Dir, SyncAlways: true, MaxPayload: 2 << 20,
		Cluster: server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: n.Route, NoAdvertise: true}}
	for _, port := range n.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	return o
}
