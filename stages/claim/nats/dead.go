package nats

import (
	"net"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A connection may be dead with no end of it in sight: a node hangs, or a network
// drops what is sent. The client's own defaults believe in it for six minutes.
const (
	// ping is how often the connection is tried.
	ping = 2 * time.Second
	// lostPings is how many may wait for their answer: a dead connection is known
	// after two to three times ping.
	lostPings = 2
	// stalledPings times ping is how long one write may take. While a write waits the
	// client can send no ping, and answers to nobody.
	stalledPings = 5
)

// overNetwork are the options that end a dead connection. The client then makes
// another one, to the next node.
func overNetwork(ping time.Duration) []natsgo.Option {
	return []natsgo.Option{natsgo.PingInterval(ping), natsgo.MaxPingsOutstanding(lostPings),
		natsgo.FlusherTimeout(stalledPings * ping), natsgo.SetCustomDialer(dialer{net.Dialer{Timeout: natsgo.DefaultTimeout}})}
}

// dialer makes connections that end with the first write that fails. The client
// goes on with such a connection, behind half a message.
type dialer struct{ net.Dialer }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

type conn struct{ net.Conn }

func (c conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close() // the reader sees the end, and connects anew
	}
	return n, err
}
