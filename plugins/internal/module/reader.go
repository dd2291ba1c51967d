package module

import (
	"fmt"
	"unicode/utf8"
)

// reader reads a section; after the first error it returns zeros.
type reader struct {
	b   []byte
	pos int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.pos, fmt.Sprintf(format, args...))
	}
}

func (r *reader) end() bool { return r.err != nil || r.pos >= len(r.b) }

func (r *reader) byte() byte {
	if r.err != nil || r.pos >= len(r.b) {
		r.fail("the module ends too early")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 { return uint32(r.leb(5)) }

func (r *reader) leb(most int) uint64 {
	var n uint64
	for i := range most {
		c := r.byte()
		n |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			if most == 5 && n > 1<<32-1 {
				break
			}
			return n
		}
	}
	r.fail("number too long")
	return 0
}

func (r *reader) bytes(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail("the module ends too early")
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos]
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail("name is not UTF-8")
	}
	return string(b)
}

// each reads a vector: a count, then that many entries.
func (r *reader) each(entry func()) {
	n := r.u32()
	if n > MaxEntries {
		r.fail("%d entries, the limit is %d", n, MaxEntries)
	}
	for range n {
		if r.err != nil {
			return
		}
		entry()
	}
}

func (r *reader) funcType() Sig {
	if c := r.byte(); c != 0x60 && r.err == nil {
		r.fail("type form 0x%02x is not supported", c)
	}
	params := r.bytes(r.u32())
	results := r.bytes(r.u32())
	return MakeSig(params, results)
}

// limits returns the minimum of a table or memory type.
func (r *reader) limits() uint64 {
	flags := r.byte()
	low := uint64(r.u32())
	if flags&1 != 0 {
		r.u32()
	}
	if flags > 3 {
		r.fail("limits with flags 0x%02x are not supported", flags)
	}
	return low
}
