package k1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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

func readDescriptor(d *[OpSize]byte) descriptor {
	le := binary.LittleEndian
	return descriptor{le.Uint32(d[0:]), Code(le.Uint16(d[4:])), le.Uint16(d[6:]),
		uint64(le.Uint32(d[8:])), uint64(le.Uint32(d[12:])), uint64(le.Uint32(d[16:])), uint64(le.Uint32(d[20:]))}
}

// Decode checks an out frame, which may lie in the kernel's memory, and appends
// its operations to ops; the error is a *FrameError. Replaced bytes are copied
// once, all together; kept and sliced ones are those of the batch.
func (b *Batch) Decode(ops []Op, frame []byte) ([]Op, error) {
	le := binary.LittleEndian
	if len(frame) < OutHeaderSize {
		return nil, bad("%d bytes, a header has %d", len(frame), OutHeaderSize)
	}
	n, total := uint64(le.Uint32(frame)), uint64(le.Uint32(frame[4:]))
	arena := OutHeaderSize + OpSize*n
	if total != uint64(len(frame)) || le.Uint64(frame[8:]) != 0 || arena > total {
		return nil, badHeader(frame)
	}
	at, end := len(ops), len(ops)+int(n)
	if end > cap(ops) {
		ops = slices.Grow(ops, int(n))
	}
	ops = ops[:end]
	table, records := frame[OutHeaderSize:arena], b.Records
	for i := at; i < end; i++ {
		d := (*[OpSize]byte)(table)
		table = table[OpSize:]
		// The commonest operation: KEEP without fault, to port 0.
		head := le.Uint64(d[0:8]) // source, then code and port: 0
		if head >= uint64(len(records)) || le.Uint32(d[12:16])|le.Uint32(d[20:24]) != 0 {
			return b.others(ops, i, at, frame)
		}
		r, op := &records[head], &ops[i]
		op.Source, op.Code, op.Port = uint32(head), Keep, 0
		op.Key, op.Value = r.Key, r.Value
	}
	return ops, nil
}

// others goes on with ops[i], of which the frame's first is ops[first]: whatever
// the operation is.
func (b *Batch) others(ops []Op, i, first int, frame []byte) ([]Op, error) {
	arena := OutHeaderSize + OpSize*uint64(len(ops)-first)
	c := cursor{arena: arena, pos: arena, end: uint64(len(frame))}
	if arena < c.end {
		c.data = append(b.Arena[:0], frame[arena:]...)
	}
	table := frame[OutHeaderSize+OpSize*(i-first) : arena]
	for ; i < len(ops); i++ {
		d := (*[OpSize]byte)(table)
		table = table[OpSize:]
		if err := b.op(&ops[i], readDescriptor(d), &c); err != nil {
			return nil, bad("operation %d: %w", i-first, err)
		}
	}
	return ops, nil
}

// badHeader says what is wrong with the header of a frame that has one.
func badHeader(frame []byte) error {
	le := binary.LittleEndian
	n, total := uint64(le.Uint32(frame)), uint64(le.Uint32(frame[4:]))
	switch {
	case total != uint64(len(frame)):
		return bad("total is %d, the frame has %d bytes", total, len(frame))
	case le.Uint32(frame[8:]) != 0:
		return bad("unknown flags 0x%x", le.Uint32(frame[8:]))
	case le.Uint32(frame[12:]) != 0:
		return bad("the reserved word is not zero")
	}
	return bad("%d operations do not fit into %d bytes", n, total)
}

// op checks one descriptor and makes it an operation.
func (b *Batch) op(to *Op, d descriptor, c *cursor) (err error) {
	if uint64(d.source) >= uint64(len(b.Records)) {
		return fmt.Errorf("source %d of %d records", d.source, len(b.Records))
	}
	if d.code != Err && int(d.port) >= max(1, b.Ports) {
		return fmt.Errorf("%s to port %d: the kernel has %d", d.code, d.port, max(1, b.Ports))
	}
	var key, value []byte
	switch d.code {
	case Keep:
		if d.keyLen|d.valueLen != 0 {
			return errors.New("KEEP with a key or a value")
		}
		key, value = b.Records[d.source].Key, b.Records[d.source].Value
	case Slice:
		key = b.Records[d.source].Key
		value, err = b.slice(d)
	case Put, Err:
		if d.code == Err && d.keyLen != 0 {
			return errors.New("ERR with a key")
		}
		if key, err = c.take("key", d.keyOff, d.keyLen); err == nil {
			value, err = c.take("value", d.valueOff, d.valueLen)
		}
	default:
		err = fmt.Errorf("%s is not known", d.code)
	}
	to.Source, to.Code, to.Port = d.source, d.code, d.port
	to.Key, to.Value = key, value
	return err
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
	if off < c.pos || off+n > c.end {
		return nil, c.refuse(what, off, n)
	}
	c.pos = off + n
	return c.data[off-c.arena : c.pos-c.arena : c.pos-c.arena], nil
}

func (c *cursor) refuse(what string, off, n uint64) error {
	switch {
	case off < c.arena:
		return fmt.Errorf("%s %d+%d lies before the arena at %d", what, off, n, c.arena)
	case off+n > c.end:
		return fmt.Errorf("%s %d+%d leaves the frame of %d bytes", what, off, n, c.end)
	}
	return fmt.Errorf("%s %d+%d overlaps what ends at %d", what, off, n, c.pos)
}
