package wasmbin

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Reader reads a part of a binary. After the first error it returns zeros, and
// Err says what was wrong and where.
type Reader struct {
	b         []byte
	pos, base int
	err       error
	labels    []uint32
}

// NewReader reads b, which begins at byte base of the file; errors count from
// the file's start.
func NewReader(b []byte, base int) *Reader { return &Reader{b: b, base: base} }

// Reset makes r read b, keeping its buffers.
func (r *Reader) Reset(b []byte, base int) { *r = Reader{b: b, base: base, labels: r.labels} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// End tells that nothing more can be read, because of the end or an error.
func (r *Reader) End() bool { return r.err != nil || r.pos >= len(r.b) }

// Pos is where the next byte stands in this reader's bytes, Offset in the file.
func (r *Reader) Pos() int { return r.pos }

// Offset is the position in the file.
func (r *Reader) Offset() int { return r.base + r.pos }

// Fail sets the error, if it is the first.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.Offset(), fmt.Sprintf(format, args...))
	}
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.err != nil || r.pos >= len(r.b) {
		r.Fail("the module ends too early")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

// U32 reads an unsigned LEB128 number of at most 32 bits.
func (r *Reader) U32() uint32 {
	if r.err == nil && r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nearly all
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	var n uint64
	for i := range 5 {
		c := r.Byte()
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if n > math.MaxUint32 {
				break
			}
			return uint32(n)
		}
	}
	r.Fail("number too long")
	return 0
}

// skip passes over a LEB128 number of at most so many bytes. Its unused bits
// are left to the compiler.
func (r *Reader) skip(most int) {
	for range most {
		if r.Byte() < 0x80 {
			return
		}
	}
	r.Fail("number too long")
}

// ValueType reads a value type of specification 2.0, which is one byte.
func (r *Reader) ValueType() byte {
	t := r.Byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f: // i32 i64 f32 f64 v128 funcref externref
	default:
		r.Fail("value type 0x%02x is not supported", t)
	}
	return t
}

// Bytes reads n bytes; they are not copied.
func (r *Reader) Bytes(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.b)-r.pos) {
		r.Fail("the module ends too early")
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos : r.pos]
}

// Since returns the bytes from position start up to here.
func (r *Reader) Since(start int) []byte { return r.b[start:r.pos:r.pos] }

// Rest returns what has not been read.
func (r *Reader) Rest() []byte { return r.b[r.pos:] }

// Name reads a name, which must be UTF-8.
func (r *Reader) Name() string {
	b := r.Bytes(r.U32())
	if !utf8.Valid(b) {
		r.Fail("name is not UTF-8")
	}
	return string(b)
}

// Each reads a vector of at most most entries: a count, then the entries.
func (r *Reader) Each(most int, entry func()) {
	n := r.U32()
	if uint64(n) > uint64(most) {
		r.Fail("%d entries, the limit is %d", n, most)
	}
	for range n {
		if r.err != nil {
			return
		}
		entry()
	}
}

// Limits are those of a table or memory. Max counts only if HasMax.
type Limits struct {
	Min, Max uint32
	HasMax   bool
}

// Limits reads limits. Shared memories read as others do; 64-bit ones are
// refused.
func (r *Reader) Limits() Limits {
	flags := r.Byte()
	l := Limits{Min: r.U32(), HasMax: flags&1 != 0}
	if l.HasMax {
		l.Max = r.U32()
	}
	if flags > 3 {
		r.Fail("limits with flags 0x%02x are not supported", flags)
	}
	return l
}
