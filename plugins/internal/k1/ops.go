package k1

import (
	"encoding/binary"
	"fmt"
)

// Code is what a kernel does with a record.
type Code uint16

// Operations of the out frame.
const (
	Keep  Code = 0 // the record as it came
	Slice Code = 1 // a part of its value
	Put   Code = 2 // new bytes
	Err   Code = 3 // the record failed; the value is the message
)

// String returns the name in the specification.
func (c Code) String() string {
	names := [...]string{"KEEP", "SLICE", "PUT", "ERR"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("op %d", uint16(c))
}

// Ports of ERR say what becomes of the record.
const (
	ErrPermanent = 0 // trying again cannot help
	ErrRetry     = 1 // another attempt may succeed
	ErrSkip      = 2 // not a failure: the item ends here
)

// Op is one operation, ready to use: Key and Value are the host's own bytes.
type Op struct {
	Source uint32
	Code   Code
	Port   uint16
	Key    []byte
	Value  []byte
}

// FrameError is a violation of the frame format by the kernel.
type FrameError struct {
	// What is wrong, with the operation's number.
	What string
}

// Error returns what is wrong.
func (e *FrameError) Error() string { return "bad frame: " + e.What }

func bad(format string, args ...any) error {
	return &FrameError{What: fmt.Errorf(format, args...).Error()}
}

// descriptor is an operation as it stands in the frame.
type descriptor struct {
	source             uint32
	code               Code
	port               uint16
	keyOff, keyLen     uint64
	valueOff, valueLen uint64
}

func readDescriptor(d []byte) descriptor {
	le := binary.LittleEndian
	u := func(at int) uint64 { return uint64(le.Uint32(d[at:])) }
	return descriptor{le.Uint32(d), Code(le.Uint16(d[4:])), le.Uint16(d[6:]), u(8), u(12), u(16), u(20)}
}

// Decode checks an out frame, which may lie in the kernel's memory, and appends
// its operations to ops; the error is a *FrameError. Replaced bytes are copied once, all together; kept and
// sliced ones are those of the batch.
func (b *Batch) Decode(ops []Op, frame []byte) ([]Op, error) {
	n, err := outHeader(frame)
	if err != nil {
		return nil, err
	}
	arena := uint64(OutHeaderSize + OpSize*n)
	c := cursor{arena: arena, pos: arena, end: uint64(len(frame))}
	if arena < c.end {
		c.data = append(b.Arena[:0], frame[arena:]...)
	}
	for i := range n {
		d := frame[OutHeaderSize+OpSize*i:][:OpSize]
		if source, ok := b.kept(d); ok {
			r := &b.Records[source]
			ops = append(ops, Op{Source: source, Key: r.Key, Value: r.Value})
			continue
		}
		op, err := b.op(readDescriptor(d), &c)
		if err != nil {
			return nil, bad("operation %d: %w", i, err)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// kept recognises the commonest operation, a KEEP without fault to port 0.
func (b *Batch) kept(d []byte) (source uint32, ok bool) {
	le := binary.LittleEndian
	head := le.Uint64(d) // source, then code and port: 0
	return uint32(head), head < uint64(len(b.Records)) && le.Uint32(d[12:])|le.Uint32(d[20:]) == 0
}

func outHeader(frame []byte) (n int, err error) {
	if len(frame) < OutHeaderSize {
		return 0, bad("%d bytes, a header has %d", len(frame), OutHeaderSize)
	}
	le := binary.LittleEndian
	count, total := uint64(le.Uint32(frame)), uint64(le.Uint32(frame[4:]))
	switch {
	case total != uint64(len(frame)):
		return 0, bad("total is %d, the frame has %d bytes", total, len(frame))
	case le.Uint32(frame[8:]) != 0:
		return 0, bad("unknown flags 0x%x", le.Uint32(frame[8:]))
	case le.Uint32(frame[12:]) != 0:
		return 0, bad("the reserved word is not zero")
	case OutHeaderSize+OpSize*count > total:
		return 0, bad("%d operations do not fit into %d bytes", count, total)
	}
	return int(count), nil
}

// op checks one descriptor.
func (b *Batch) op(d descriptor, c *cursor) (Op, error) {
	op := Op{Source: d.source, Code: d.code, Port: d.port}
	if uint64(d.source) >= uint64(len(b.Records)) {
		return op, fmt.Errorf("source %d of %d records", d.source, len(b.Records))
	}
	if d.code != Err && int(d.port) >= max(1, b.Ports) {
		return op, fmt.Errorf("%s to port %d: the kernel has %d", d.code, d.port, max(1, b.Ports))
	}
	r, err := &b.Records[d.source], error(nil)
	switch d.code {
	case Keep:
		if d.keyLen|d.valueLen != 0 {
			return op, fmt.Errorf("KEEP with a key or a value")
		}
		op.Key, op.Value = r.Key, r.Value
	case Slice:
		op.Key = r.Key
		op.Value, err = b.slice(d)
	case Put, Err:
		if d.code == Err && d.keyLen != 0 {
			return op, fmt.Errorf("ERR with a key")
		}
		if op.Key, err = c.take("key", d.keyOff, d.keyLen); err == nil {
			op.Value, err = c.take("value", d.valueOff, d.valueLen)
		}
	default:
		err = fmt.Errorf("%s is not known", d.code)
	}
	return op, err
}

// slice returns the part of the source's own value that a SLICE names.
func (b *Batch) slice(d descriptor) ([]byte, error) {
	value := b.Records[d.source].Value
	from := uint64(b.values[d.source])
	switch {
	case d.keyLen != 0:
		return nil, fmt.Errorf("SLICE with a key")
	case d.valueLen == 0:
		return value[:0:0], nil // ranges of length 0 have no place
	}
	if d.valueOff < from || d.valueOff+d.valueLen > from+uint64(len(value)) {
		return nil, fmt.Errorf("SLICE %d+%d leaves the source's value %d+%d", d.valueOff, d.valueLen, from, len(value))
	}
	at := d.valueOff - from
	return value[at : at+d.valueLen : at+d.valueLen], nil
}

// cursor hands out the arena. Ranges stand in the order of their descriptors
// and do not overlap, so a small arena cannot pretend to be a large result.
type cursor struct {
	arena, pos, end uint64
	data            []byte
}

func (c *cursor) take(what string, off, n uint64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	switch {
	case off < c.arena:
		return nil, fmt.Errorf("%s %d+%d lies before the arena at %d", what, off, n, c.arena)
	case off+n > c.end:
		return nil, fmt.Errorf("%s %d+%d leaves the frame of %d bytes", what, off, n, c.end)
	case off < c.pos:
		return nil, fmt.Errorf("%s %d+%d overlaps what ends at %d", what, off, n, c.pos)
	}
	c.pos = off + n
	return c.data[off-c.arena : c.pos-c.arena : c.pos-c.arena], nil
}
