package kernel

import "encoding/binary"

// writer builds the out frame in place: the header, room for descriptors, the
// arena. Its buffer is kept for the next batch, so that a warm kernel allocates
// nothing for its answer. Room that is left over is a gap before the first
// value, which the ABI allows.
type writer struct {
	frame []byte
	ops   int // written so far
	room  int // descriptors that fit before the arena
}

// reset begins a frame for about so many operations.
func (w *writer) reset(ops int) {
	w.ops, w.room = 0, max(ops, 1)
	w.frame = w.frame[:0]
	w.extend(w.arena())
}

// arena is where the arena begins.
func (w *writer) arena() int { return outHeaderSize + opSize*w.room }

// extend appends n bytes, which hold anything, and returns them.
func (w *writer) extend(n int) []byte {
	from := len(w.frame)
	if from+n > cap(w.frame) {
		w.frame = append(make([]byte, 0, max(from+n, 2*cap(w.frame))), w.frame...)
	}
	w.frame = w.frame[:from+n]
	return w.frame[from : from+n : from+n]
}

func (w *writer) keep(src uint32, port uint16) { w.describe(src, opKeep, port, 0, 0, 0, 0) }

// slice answers with n bytes at off of the input frame.
func (w *writer) slice(src uint32, port uint16, off uint32, n int) {
	w.describe(src, opSlice, port, 0, 0, int(off), n)
}

// put answers with a key and n new bytes, which it returns for the caller to
// fill; they stay in place until the next answer.
func (w *writer) put(src uint32, code, port uint16, key []byte, n int) []byte {
	if w.ops == w.room {
		w.widen()
	}
	at := len(w.frame)
	b := w.extend(len(key) + n)
	copy(b, key)
	w.describe(src, code, port, at, len(key), at+len(key), n)
	return b[len(key):]
}

func (w *writer) describe(src uint32, code, port uint16, key, keyLen, value, valueLen int) {
	if w.ops == w.room {
		w.widen()
	}
	d := w.frame[outHeaderSize+opSize*w.ops:][:opSize]
	w.ops++
	le := binary.LittleEndian
	le.PutUint32(d[0:], src)
	le.PutUint16(d[4:], code)
	le.PutUint16(d[6:], port)
	le.PutUint32(d[8:], uint32(key))
	le.PutUint32(d[12:], uint32(keyLen))
	le.PutUint32(d[16:], uint32(value))
	le.PutUint32(d[20:], uint32(valueLen))
}

// widen doubles the room for descriptors: the arena moves up.
func (w *writer) widen() {
	from, end, by := w.arena(), len(w.frame), opSize*w.room
	w.extend(by)
	copy(w.frame[from+by:], w.frame[from:end])
	w.room *= 2
	le := binary.LittleEndian
	for d := w.frame[outHeaderSize:from]; len(d) > 0; d = d[opSize:] {
		if code := le.Uint16(d[4:]); code == opPut || code == opErr {
			le.PutUint32(d[8:], le.Uint32(d[8:])+uint32(by))
			le.PutUint32(d[16:], le.Uint32(d[16:])+uint32(by))
		}
	}
}

// mark and undo let a failed record take back what it answered.
type mark struct{ ops, arena int }

func (w *writer) mark() mark { return mark{w.ops, len(w.frame) - w.arena()} }

func (w *writer) undo(m mark) { w.ops, w.frame = m.ops, w.frame[:w.arena()+m.arena] }

// finish returns the out frame; it stays valid until the next reset.
func (w *writer) finish() []byte {
	le := binary.LittleEndian
	le.PutUint32(w.frame[0:], uint32(w.ops))
	le.PutUint32(w.frame[4:], uint32(len(w.frame)))
	le.PutUint64(w.frame[8:], 0)
	return w.frame
}
