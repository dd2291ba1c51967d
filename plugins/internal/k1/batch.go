// Package k1 is the host's side of the frames of the k1 kernel ABI: records in,
// operations out. spec/kernel-abi.md is the contract; all numbers are
// little-endian, all offsets count from the start of their frame. Nothing here
// knows wazero: a frame is a slice of bytes that nobody may trust.
package k1

import (
	"encoding/binary"
	"errors"
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

// Batch is records with their places in the input frame.
type Batch struct {
	Records []Record
	values  []uint32 // offset of each value
	size    uint32
}

// NewBatch lays out a frame for the records.
func NewBatch(records []Record) (*Batch, error) {
	b := &Batch{Records: records, values: make([]uint32, len(records))}
	pos := uint64(HeaderSize) + uint64(len(records))*RecordSize
	for i := range records {
		r := &records[i]
		pos = align8(pos + uint64(len(r.Key)) + uint64(len(r.Meta)))
		b.values[i] = uint32(pos)
		if pos = align8(pos + uint64(len(r.Value))); pos > MaxFrame {
			return nil, ErrTooLarge
		}
	}
	if pos > MaxFrame {
		return nil, ErrTooLarge
	}
	b.size = uint32(pos)
	return b, nil
}

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

// Size returns the length of the input frame in bytes.
func (b *Batch) Size() uint32 { return b.size }

// Encode writes the input frame into dst, which is Size bytes long. The
// header's time and seed are those of the first record.
func (b *Batch) Encode(dst []byte) {
	le := binary.LittleEndian
	clear(dst[:HeaderSize])
	le.PutUint32(dst, Magic)
	le.PutUint32(dst[8:], uint32(len(b.Records)))
	le.PutUint32(dst[12:], b.size)
	if len(b.Records) > 0 {
		le.PutUint64(dst[16:], b.Records[0].Time)
		le.PutUint64(dst[24:], b.Records[0].Seed)
	}
	pos := HeaderSize + RecordSize*len(b.Records)
	for i := range b.Records {
		r, d := &b.Records[i], dst[HeaderSize+RecordSize*i:][:RecordSize]
		key := pos
		meta := key + copy(dst[key:], r.Key)
		pos = meta + copy(dst[meta:], r.Meta)
		value := int(b.values[i])
		clear(dst[pos:value])
		pos = value + copy(dst[value:], r.Value)
		end := int(align8(uint64(pos)))
		clear(dst[pos:end])
		pos = end
		put(d, key, len(r.Key), value, len(r.Value))
		le.PutUint64(d[16:], r.Time)
		le.PutUint64(d[24:], r.Seed)
		put(d[32:], meta, len(r.Meta))
	}
}

func put(d []byte, numbers ...int) {
	for i, n := range numbers {
		binary.LittleEndian.PutUint32(d[4*i:], uint32(n))
	}
}
