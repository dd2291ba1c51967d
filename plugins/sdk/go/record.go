package kernel

import (
	"math/rand/v2"
	"time"
)

// Record is one input of a batch and the answers to it. It is valid during the
// call of the handler only, and so are the slices that it returns.
type Record struct {
	in  input
	out *writer
	src uint32
}

// Key returns the item's key; empty if it has none.
func (r *Record) Key() []byte { return r.in.key }

// Value returns the input: the item's body or the artifact that the pipeline
// chose. It must not be changed.
func (r *Record) Value() []byte { return r.in.value }

// Meta returns the item's metadata as a JSON object of strings; empty if there
// is none.
func (r *Record) Meta() []byte { return r.in.meta }

// Time returns when the item was created: the only time that a kernel knows.
func (r *Record) Time() time.Time { return time.Unix(0, int64(r.in.time)).UTC() }

// TimeNanos returns Time in nanoseconds since 1970.
func (r *Record) TimeNanos() uint64 { return r.in.time }

// Seed returns a number that is a function of the item.
func (r *Record) Seed() uint64 { return r.in.seed }

// Rand returns a random source that starts from Seed: the SplitMix64 stream,
// the same in every language.
func (r *Record) Rand() *rand.Rand { return rand.New(&splitMix{r.in.seed}) }

// splitMix is SplitMix64 (Steele, Lea, Flood 2014, with Vigna's constants).
type splitMix struct{ state uint64 }

// Uint64 returns the next number.
func (s *splitMix) Uint64() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Keep passes the record on as it is, without a copy.
func (r *Record) Keep() { r.To(0).Keep() }

// Slice passes on Value()[from:to], without a copy. It panics like a slice
// expression if the range is not in the value.
func (r *Record) Slice(from, to int) { r.To(0).Slice(from, to) }

// Put passes on new bytes, which are copied.
func (r *Record) Put(value []byte) { r.To(0).Put(value) }

// PutKey passes on new bytes as an item with a key of its own. The key counts
// only where a record becomes several items.
func (r *Record) PutKey(key, value []byte) { r.To(0).PutKey(key, value) }

// PutSize passes on n new bytes, which are zero until the caller fills them. That has
// to happen before the next answer to any record. It saves Put's copy.
func (r *Record) PutSize(n int) []byte { return r.To(0).PutSize(n) }

// To returns the output port with that number: its place among the ports of
// the manifest (kernel.json). What goes there carries the port's name, by which
// later stages choose. Without To answers go to port 0.
func (r *Record) To(port uint16) Port { return Port{r, port} }

// Port is one output of a kernel, for one record. Its methods are those of
// Record.
type Port struct {
	r      *Record
	number uint16
}

// Keep passes the record on as it is, without a copy.
func (p Port) Keep() { p.r.out.keep(p.r.src, p.number) }

// Slice passes on a part of the value, without a copy.
func (p Port) Slice(from, to int) {
	in := &p.r.in
	p.r.out.slice(p.r.src, p.number, in.valueOff+uint32(from), len(in.value[from:to]))
}

// Put passes on new bytes, which are copied.
func (p Port) Put(value []byte) { p.PutKey(nil, value) }

// PutKey passes on new bytes with a key.
func (p Port) PutKey(key, value []byte) {
	copy(p.r.out.put(p.r.src, opPut, p.number, key, len(value)), value)
}

// PutSize passes on n new bytes for the caller to fill.
func (p Port) PutSize(n int) []byte {
	b := p.r.out.put(p.r.src, opPut, p.number, nil, n)
	clear(b)
	return b
}
