package kernel

import "encoding/binary"

// The host's side of the frames, as far as Try needs it. The real one is in the
// engine and trusts nobody; this one reads what handle wrote.

func inputFrame(records []Input) []byte {
	le := binary.LittleEndian
	frame := make([]byte, headerSize+recordSize*len(records))
	le.PutUint32(frame, magic)
	le.PutUint32(frame[8:], uint32(len(records)))
	if len(records) > 0 {
		le.PutUint64(frame[16:], records[0].TimeNanos)
		le.PutUint64(frame[24:], records[0].Seed)
	}
	for i, r := range records {
		at := headerSize + recordSize*i
		frame = part(frame, at, r.Key)
		frame = part(frame, at+32, r.Meta)
		frame = align8(frame)
		frame = align8(part(frame, at+8, r.Value))
		le.PutUint64(frame[at+16:], r.TimeNanos)
		le.PutUint64(frame[at+24:], r.Seed)
	}
	le.PutUint32(frame[12:], uint32(len(frame)))
	return frame
}

// part appends b and notes its place in the descriptor at.
func part(frame []byte, at int, b []byte) []byte {
	binary.LittleEndian.PutUint32(frame[at:], uint32(len(frame)))
	binary.LittleEndian.PutUint32(frame[at+4:], uint32(len(b)))
	return append(frame, b...)
}

func align8(frame []byte) []byte {
	return append(frame, make([]byte, -len(frame)&7)...)
}

// op is one operation.
type op struct {
	src        uint32
	code, port uint16
	key, value []byte
}

// readOps reads an out frame of our own.
func readOps(in, out []byte) []op {
	le := binary.LittleEndian
	ops := make([]op, le.Uint32(out))
	for i := range ops {
		d := out[outHeaderSize+opSize*i:][:opSize]
		o := op{src: le.Uint32(d), code: le.Uint16(d[4:]), port: le.Uint16(d[6:])}
		from := out
		if o.code == opSlice {
			from = in
		}
		o.key = out[le.Uint32(d[8:]):][:le.Uint32(d[12:])]
		o.value = from[le.Uint32(d[16:]):][:le.Uint32(d[20:])]
		ops[i] = o
	}
	return ops
}
