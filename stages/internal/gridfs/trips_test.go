package gridfs_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
)

// tap is a dialer that notes which commands are sent. It leaves out hello, by which
// the driver watches the server, too.
type tap struct {
	mu   sync.Mutex
	sent []string
}

// take returns what was sent since the last take.
func (d *tap) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := d.sent
	d.sent = nil
	return sent
}

func (d *tap) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	return tapped{c, d}, err
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c tapped) Write(b []byte) (int, error) {
	const opMsg, body = 2013, 16 + 4 + 1 // header, flags, kind of the first section
	if len(b) > body+5 && binary.LittleEndian.Uint32(b[12:]) == opMsg {
		// Length of the document, type of its first element, and its name.
		if name, _, _ := strings.Cut(string(b[body+5:min(len(b), body+40)]), "\x00"); name != "hello" {
			c.tap.mu.Lock()
			c.tap.sent = append(c.tap.sent, name)
			c.tap.mu.Unlock()
		}
	}
	return c.Conn.Write(b)
}

// A batch costs the same round trips whatever the number of its objects; so do
// objects that are there already.
func TestRoundTrips(t *testing.T) {
	wire := new(tap)
	o := newBucket(t).open(t, mongoconn.Settings{Dialer: wire})
	var batch []pipeline.Blob
	for i := range 50 {
		batch = append(batch, blob(fmt.Sprint(i)))
	}
	wire.take()
	for _, want := range [][]string{{"find", "insert", "insert", "find", "find"}, {"find", "find"}} {
		put(t, o, batch...)
		if d := cmp.Diff(want, wire.take()); d != "" {
			t.Errorf("a batch of %d: %s", len(batch), d)
		}
	}
}
