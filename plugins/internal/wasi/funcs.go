package wasi

import (
	"context"
	"io"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Error numbers of WASI preview 1.
const (
	ok      = 0
	eBadf   = 8
	eFault  = 21
	eInval  = 28
	eIO     = 29
	eNosys  = 52
	eSpipe  = 70
	maxIovs = 1024
)

// call is one call of a WASI function: its world, the caller's memory, its
// arguments. The answer is an error number.
type call struct {
	w    *World
	mem  api.Memory
	args []uint64
}

func (c *call) u32(i int) uint32 { return uint32(c.args[i]) }

// put32 and put64 store a result; false is a bad pointer.
func (c *call) put32(ptr, v uint32) bool           { return c.mem.WriteUint32Le(ptr, v) }
func (c *call) put64(ptr uint32, v uint64) bool    { return c.mem.WriteUint64Le(ptr, v) }
func (c *call) bytes(ptr, n uint32) ([]byte, bool) { return c.mem.Read(ptr, n) }

func errno(good bool) uint32 {
	if good {
		return ok
	}
	return eFault
}

// sizes answers args_sizes_get and environ_sizes_get.
func sizes(c *call, list []string) uint32 {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	return errno(c.put32(c.u32(0), uint32(len(list))) && c.put32(c.u32(1), uint32(n)))
}

// list answers args_get and environ_get: pointers, then NUL-terminated text.
func list(c *call, list []string) uint32 {
	ptrs, buf := c.u32(0), c.u32(1)
	for i, s := range list {
		if !c.put32(ptrs+uint32(4*i), buf) || !c.mem.WriteString(buf, s+"\x00") {
			return eFault
		}
		buf += uint32(len(s) + 1)
	}
	return ok
}

func argsSizesGet(c *call) uint32    { return sizes(c, c.w.Args) }
func argsGet(c *call) uint32         { return list(c, c.w.Args) }
func environSizesGet(c *call) uint32 { return sizes(c, c.w.Env) }
func environGet(c *call) uint32      { return list(c, c.w.Env) }

func clockResGet(c *call) uint32 { return errno(c.put64(c.u32(1), 1)) }

func clockTimeGet(c *call) uint32 {
	now, known := c.clock(c.u32(0))
	if !known {
		return eInval
	}
	return errno(c.put64(c.u32(2), now))
}

// clock returns clock id: 0 real time, 1 monotonic, 2 and 3 CPU time.
func (c *call) clock(id uint32) (now uint64, known bool) {
	if id == 0 {
		return c.w.realtime(), true
	}
	return c.w.monotonic(), id <= 3
}

func randomGet(c *call) uint32 {
	b, good := c.bytes(c.u32(0), c.u32(1))
	if !good {
		return eFault
	}
	c.w.pay(len(b))
	c.w.random(b)
	return ok
}

func schedYield(*call) uint32 { return ok }

// iovs calls f with each buffer of an iovec array.
func (c *call) iovs(f func(b []byte) (n int, more bool, errno uint32)) (total, code uint32) {
	ptr, count := c.u32(1), c.u32(2)
	if count > maxIovs {
		return 0, eInval
	}
	for i := range count {
		at, good1 := c.mem.ReadUint32Le(ptr + 8*i)
		n, good2 := c.mem.ReadUint32Le(ptr + 8*i + 4)
		b, good3 := c.bytes(at, n)
		if !good1 || !good2 || !good3 {
			return total, eFault
		}
		c.w.pay(len(b))
		done, more, code := f(b)
		total += uint32(done)
		if code != ok || !more {
			return total, code
		}
	}
	return total, ok
}

func fdWrite(c *call) uint32 {
	var out io.Writer
	switch c.u32(0) {
	case 1:
		out = c.w.Stdout
	case 2:
		out = c.w.Stderr
	}
	if out == nil {
		return eBadf
	}
	n, code := c.iovs(func(b []byte) (int, bool, uint32) {
		n, err := out.Write(b)
		if err != nil {
			return n, false, eIO
		}
		return n, true, ok
	})
	if code != ok {
		return code
	}
	return errno(c.put32(c.u32(3), n))
}

func fdRead(c *call) uint32 {
	if c.u32(0) != 0 {
		return eBadf
	}
	n, code := c.iovs(func(b []byte) (int, bool, uint32) {
		if c.w.Stdin == nil {
			return 0, false, ok
		}
		n, err := io.ReadFull(c.w.Stdin, b)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return n, false, eIO
		}
		return n, err == nil, ok
	})
	if code != ok {
		return code
	}
	return errno(c.put32(c.u32(3), n))
}

// stdio answers a call about a file descriptor that changes nothing.
func stdio(c *call) uint32 {
	if c.u32(0) > 2 {
		return eBadf
	}
	return ok
}

func badf(*call) uint32  { return eBadf }
func nosys(*call) uint32 { return eNosys }

func fdSeek(c *call) uint32 {
	if c.u32(0) > 2 {
		return eBadf
	}
	return eSpipe
}

// fdstatGet describes stdin, stdout and stderr as character devices, so that
// C libraries line-buffer them.
func fdstatGet(c *call) uint32 {
	if c.u32(0) > 2 {
		return eBadf
	}
	var stat [24]byte
	stat[0] = 2            // character device
	rights := byte(1 << 6) // fd_write
	if c.u32(0) == 0 {
		rights = 1 << 1 // fd_read
	}
	stat[8] = rights
	return errno(c.mem.Write(c.u32(1), stat[:]))
}

func filestatGet(c *call) uint32 {
	if c.u32(0) > 2 {
		return eBadf
	}
	var stat [64]byte
	stat[16] = 2 // character device
	return errno(c.mem.Write(c.u32(1), stat[:]))
}

func procExit(_ context.Context, _ api.Module, stack []uint64) {
	panic(sys.NewExitError(uint32(stack[0])))
}
