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
	sent  int  // commands of all kinds
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
	w.seen, w.sent, w.at, w.kills = 0, 0, at, kills
}

// before calls f just before a write is sent.
func (w *wire) before(at int, f func()) {
	w.arm(at, false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = f
}

// trips returns how many commands were sent since arm.
func (w *wire) trips() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// writes returns how many there were since arm.
func (w *wire) writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// cut ends all connections; new ones may be made.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
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
	name := command(b)
	switch name {
	case "", "hello", "ismaster", "endSessions":
	default:
		f.w.sent++
	}
	if changes(name) {
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

// command is the name of the command that begins with these bytes of an OP_MSG;
// empty if none does.
func command(b []byte) string {
	const body = 16 + 4 + 1 // header, flags, kind of the first section
	if len(b) < body+6 || binary.LittleEndian.Uint32(b[12:]) != 2013 {
		return ""
	}
	name, _, _ := strings.Cut(string(b[body+5:min(len(b), body+40)]), "\x00")
	return name
}

// changes reports whether a command is a write.
func changes(name string) bool {
	switch name {
	case "insert", "update", "delete", "findAndModify":
		return true
	}
	return false
}
