package hostile

import (
	"encoding/binary"

	w "github.com/waybill-dev/waybill/plugins/internal/wasmtest"
)

// op is an operation of an out frame.
type op struct {
	source             uint32
	code, port         uint16
	keyOff, keyLen     uint32
	valueOff, valueLen uint32
}

// Operations of the ABI.
const (
	opKeep = iota
	opSlice
	opPut
)

// frame makes an out frame that claims n operations and has ops, and an arena of
// so many bytes.
func frame(n uint32, arena int, ops ...op) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, n)
	b = le.AppendUint32(b, uint32(16+24*len(ops)+arena))
	b = append(b, make([]byte, 8)...)
	for _, o := range ops {
		b = le.AppendUint32(b, o.source)
		b = le.AppendUint16(le.AppendUint16(b, o.code), o.port)
		for _, v := range []uint32{o.keyOff, o.keyLen, o.valueOff, o.valueLen} {
			b = le.AppendUint32(b, v)
		}
	}
	return append(b, make([]byte, arena)...)
}

// answers are kernels that lie in what they answer.
func answers() []Guest {
	const checked = "every frame is checked, in uint64, before it is used"
	at := func(ptr, n uint32) func() []byte { return k1(answer(ptr, n)).Bytes }
	says := func(b []byte) func() []byte {
		return then(k1(answer(frameAt, uint32(len(b)))), func(m *w.Module) { m.Data(frameAt, b) }).Bytes
	}
	const arena = 16 + 24 // of a frame with one operation
	all := []Guest{
		{Name: "no answer", Tries: "answers nothing", WASM: at(0, 0), Says: "0 bytes"},
		{Name: "answer outside", Tries: "answers with bytes behind its memory", WASM: at(1<<20, 16), Says: "answered with 16 bytes at 1048576"},
		{Name: "answer across the end", Tries: "answers with bytes that its memory has half of", WASM: at(8*65536-8, 16), Says: "the memory has 524288"},
		{Name: "answer around the corner", Tries: "answers with a range whose end overflows 32 bits", WASM: at(0x7fffffff, 0xfff0), Says: "the memory has 524288"},
		{Name: "garbage", Tries: "answers with text", WASM: says([]byte("this is not a frame of k1")), Says: "total"},
		{Name: "huge count", Tries: "claims 4 billion operations", WASM: says(frame(0xffffffff, 0)), Says: "4294967295 operations do not fit"},
		{Name: "huge total", Tries: "claims a frame of 4 GiB", WASM: says(append([]byte{0, 0, 0, 0, 255, 255, 255, 255}, make([]byte, 8)...)), Says: "total is 4294967295"},
		{Name: "source from nowhere", Tries: "answers for record 4294967295", WASM: says(frame(1, 0, op{source: 0xffffffff})), Says: "source 4294967295 of 1 records"},
		{Name: "unknown operation", Tries: "answers with operation 9", WASM: says(frame(1, 0, op{code: 9})), Says: "op 9 is not known"},
		{Name: "unknown port", Tries: "answers to port 7", WASM: says(frame(1, 0, op{code: opKeep, port: 7})), Says: "to port 7"},
		{Name: "slice outside", Tries: "takes 4 GiB out of the input", WASM: says(frame(1, 0, op{code: opSlice, valueLen: 0xffffffff})), Says: "leaves the source's value"},
		{Name: "slice of the neighbour", Tries: "takes the frame's header out of the input", WASM: says(frame(1, 0, op{code: opSlice, valueLen: 40})), Says: "leaves the source's value"},
		{Name: "value in the table", Tries: "answers with its own table of operations", WASM: says(frame(1, 8, op{code: opPut, valueOff: 16, valueLen: 24})), Says: "lies before the arena"},
		{Name: "value outside", Tries: "answers with a value behind its frame", WASM: says(frame(1, 8, op{code: opPut, valueOff: arena, valueLen: 0xfffffff0})), Says: "leaves the frame"},
		{Name: "overlapping values", Tries: "answers the same bytes many times over", Says: "overlaps what ends at",
			WASM: says(frame(2, 8, op{code: opPut, valueOff: 64, valueLen: 8}, op{code: opPut, valueOff: 64, valueLen: 8}))},
		{Name: "input as answer", Tries: "answers with its input buffer", WASM: at(w.BufferAt, 88), Says: "total"},
		{Name: "output flood", Tries: "answers with 64 KiB and a byte", WASM: at(w.AnswerAt, 64<<10+1), Code: "kernel-output", Says: "the limit is 65536", Bound: "limits.output: 64 KiB"},
		{Name: "negative answer", Tries: "fails with code -7", WASM: k1(w.Const64(-7), w.Return()).Bytes, Code: "kernel-error", Says: "failed with code -7", Bound: "the kernel's own error"},
		{Name: "scribbling", Tries: "overwrites its input, then keeps it", WASM: k1(w.Const(w.BufferAt), w.Const(0xee), w.Const(4096), w.Fill(), answer(w.AnswerAt, 40)).Bytes, Bound: "the host keeps its own copy"},
	}
	for i := range all {
		all[i].At = AtItem
		if all[i].Bound == "" {
			all[i].Code, all[i].Bound = codeFrame, checked
		}
	}
	return all
}
