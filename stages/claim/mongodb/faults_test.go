package mongodb_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
)

// wire is a dialer whose connections can fail at a chosen write: a command that
// changes documents.
type wire struct {
	mu    sync.Mutex
	seen  int
	at    int  // the write at which something happens; 0: none
	kills bool // the process dies before it; else only the answer is lost
	dead  bool
	hook  func() // called before write number at, instead of a fault
	conns []net.Conn
}

var errDead = errors.New("this process was killed")

// arm starts to count.
func (w *wire) arm(at int, kills bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.at, w.kills = 0, at, kills
}

// before calls f just before a write is sent.
func (w *wire) before(at int, f func()) {
	w.arm(at, false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = f
}

// writes returns how many there were since arm.
func (w *wire) writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *wire) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errDead
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.conns = append(w.conns, c)
	return &faulty{Conn: c, w: w}, nil
}

// faulty is a connection of a wire.
type faulty struct {
	net.Conn
	w    *wire
	deaf bool // the answer to what was sent last is lost
}

func (f *faulty) Write(b []byte) (int, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if f.w.dead {
		return 0, errDead
	}
	if changes(b) {
		f.w.seen++
		if f.w.seen == f.w.at && f.w.hook != nil {
			f.w.hook()
			return f.Conn.Write(b)
		}
		if f.w.seen == f.w.at && f.w.kills {
			f.w.dead = true
			for _, c := range f.w.conns {
				_ = c.Close()
			}
			return 0, errDead
		}
		f.deaf = f.w.seen == f.w.at
	}
	return f.Conn.Write(b)
}

func (f *faulty) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if f.deaf {
		_ = f.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// changes reports whether a message of the driver is a write: an OP_MSG whose
// first element is named so.
func changes(b []byte) bool {
	const body = 16 + 4 + 1 // header, flags, kind of the first section
	if len(b) < body+6 || binary.LittleEndian.Uint32(b[12:]) != 2013 {
		return false
	}
	name, _, _ := strings.Cut(string(b[body+5:min(len(b), body+40)]), "\x00")
	switch name {
	case "insert", "update", "delete", "findAndModify":
		return true
	}
	return false
}
