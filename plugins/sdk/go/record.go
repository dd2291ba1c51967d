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

// Seed returns a number that is a function of the item.
func (r *Record) Seed() uint64 { return r.in.seed }

// Rand returns a random source that starts from Seed.
func (r *Record) Rand() *rand.Rand { return rand.New(rand.NewPCG(r.in.seed, 0)) }

// Keep passes the record on as it is, without a copy.
func (r *Record) Keep() { r.out.op(op{src: r.src, code: opKeep}) }

// Slice passes on Value()[from:to], without a copy. It panics like a slice
// expression if the range is not in the value.
func (r *Record) Slice(from, to int) {
	_ = r.in.value[from:to]
	r.out.op(op{src: r.src, code: opSlice, valueOff: r.in.valueOff + uint32(from), value: r.in.value[from:to]})
}

// Put passes on new bytes, which are copied.
func (r *Record) Put(value []byte) { r.out.op(op{src: r.src, code: opPut, value: value}) }

// PutKey passes on new bytes as an item with a key of its own. The key counts
// only where a record becomes several items.
func (r *Record) PutKey(key, value []byte) {
	r.out.op(op{src: r.src, code: opPut, key: key, value: value})
}
