// Package k1 is the host's side of the frames of the k1 kernel ABI: records in,
// operations out. spec/kernel-abi.md is the contract; all numbers are
// little-endian, all offsets count from the start of their frame. Nothing here
// knows wazero: a frame is a slice of bytes that nobody may trust.
package k1

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Sizes and constants of the frames.
const (
	Magic         = 0x0001_314b // "K1", version 1
	HeaderSize    = 40
	RecordSize    = 40
	OutHeaderSize = 16
	OpSize        = 24

	// MaxFrame keeps pointers and lengths packed in an i64 non-negative.
	MaxFrame = 1<<31 - 1
	// NoSource marks a record that comes from no input; kernels without
	// state may not make any.
	NoSource = 1<<32 - 1
)

// ErrTooLarge: the batch does not fit into a frame.
var ErrTooLarge = errors.New("the batch does not fit into a frame of 2 GiB")

// Record is one record of a batch.
type Record struct {
	Key, Value []byte
	// Meta is a JSON object of strings, or empty.
	Meta []byte
	// Time is the record's time in nanoseconds since 1970, and Seed the start
	// of its randomness; both are functions of the item.
	Time, Seed uint64
}

// Batch is records with their places in the input frame. It may be laid out
// again and again; its buffers stay.
type Batch struct {
	Records []Record
	// Ports is how many ports the kernel has; 0 means one.
	Ports int
	// Arena, if it has room, takes the bytes of answers that are copied, and
	// again those of the next answer. Without it each answer gets its own.
	Arena []byte
	// Seq is the frame's number in its lane, for kernels with state; else 0.
	Seq    uint64
	values []uint32 // offset of each value
	size   uint32
}

// NewBatch lays out a frame for the records.
func NewBatch(records []Record) (*Batch, error) {
	b := new(Batch)
	return b, b.Reset(records)
}

// Reset lays out a frame for other records.
func (b *Batch) Reset(records []Record) error {
	b.Records = records
	b.values = slices.Grow(b.values[:0], len(records))[:len(records)]
	values := b.values[:len(records)]
	pos := HeaderSize + uint64(len(records))*RecordSize
	for i := range values {
		r := &records[i]
		pos = align8(pos + uint64(len(r.Key)) + uint64(len(r.Meta)))
		values[i] = uint32(pos)
		if pos = align8(pos + uint64(len(r.Value))); pos > MaxFrame {
			return ErrTooLarge
		}
	}
	if pos > MaxFrame {
		return ErrTooLarge
	}
	b.size = uint32(pos)
	return nil
}

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

// Size returns the length of the input frame in bytes.
func (b *Batch) Size() uint32 { return b.size }

// Encode writes the input frame into dst, which is Size bytes long. The
// header's time and seed are those of the first record.
func (b *Batch) Encode(dst []byte) {
	le := binary.LittleEndian
	h := (*[HeaderSize]byte)(dst)
	le.PutUint64(h[0:8], Magic)
	le.PutUint64(h[8:16], pair(len(b.Records), int(b.size)))
	var time, seed uint64
	if len(b.Records) > 0 {
		time, seed = b.Records[0].Time, b.Records[0].Seed
	}
	le.PutUint64(h[16:24], time)
	le.PutUint64(h[24:32], seed)
	le.PutUint64(h[32:40], b.Seq)
	records := b.Records
	pos := HeaderSize + RecordSize*len(records)
	table, values := dst[HeaderSize:pos], b.values[:len(records)]
	for i := range records {
		r, value := &records[i], int(values[i])
		d := (*[RecordSize]byte)(table)
		table = table[RecordSize:]
		meta := pos + len(r.Key)
		le.PutUint64(d[0:8], pair(pos, len(r.Key)))
		le.PutUint64(d[8:16], pair(value, len(r.Value)))
		le.PutUint64(d[16:24], r.Time)
		le.PutUint64(d[24:32], r.Seed)
		le.PutUint64(d[32:40], pair(meta, len(r.Meta)))
		if value != pos { // most records have neither key nor metadata
			le.PutUint64(dst[value-8:], 0)
			copy(dst[pos:], r.Key)
			copy(dst[meta:], r.Meta)
		}
		pos = value + len(r.Value)
		if pos%8 != 0 {
			pos = pos&^7 + 8
			le.PutUint64(dst[pos-8:], 0) // the zeros first, then the bytes over them
		}
		copy(dst[value:pos], r.Value)
	}
}

// pair is two numbers of 32 bits as one of 64, the first in the lower half.
func pair(low, high int) uint64 { return uint64(uint32(low)) | uint64(uint32(high))<<32 }
