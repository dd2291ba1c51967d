package kernel

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// The frames of spec/kernel-abi.md, from the guest's side.
const (
	magic         = 0x0001_314b // "K1", version 1
	headerSize    = 40
	recordSize    = 40
	outHeaderSize = 16
	opSize        = 24
)

const (
	opKeep  = 0
	opSlice = 1
	opPut   = 2
	opErr   = 3
)

// errFrame is what every frameError is.
var errFrame = errors.New("bad input frame")

// frameError says what is wrong with the frame. The SDK does without fmt, which
// would be a third of a small kernel.
type frameError string

func (e frameError) Error() string { return errFrame.Error() + ": " + string(e) }
func (e frameError) Unwrap() error { return errFrame }

// input is one record of the input frame; the slices point into it.
type input struct {
	key, value, meta []byte
	valueOff         uint32
	time, seed       uint64
}

// count checks the header and returns the number of records.
func count(frame []byte) (int, error) {
	le := binary.LittleEndian
	switch {
	case len(frame) < headerSize:
		return 0, frameError(strconv.Itoa(len(frame)) + " bytes")
	case le.Uint32(frame) != magic:
		return 0, frameError("magic 0x" + strconv.FormatUint(uint64(le.Uint32(frame)), 16))
	case le.Uint32(frame[4:]) != 0:
		return 0, frameError("unknown flags")
	case uint64(le.Uint32(frame[12:])) != uint64(len(frame)):
		return 0, frameError("total is not its length")
	case headerSize+recordSize*uint64(le.Uint32(frame[8:])) > uint64(len(frame)):
		return 0, frameError("the records do not fit")
	}
	return int(le.Uint32(frame[8:])), nil
}

// record reads record i of a frame that count has checked.
func record(frame []byte, i int) (in input, err error) {
	d := frame[headerSize+recordSize*i:][:recordSize]
	le := binary.LittleEndian
	part := func(at int) []byte {
		off, n := uint64(le.Uint32(d[at:])), uint64(le.Uint32(d[at+4:]))
		if off+n > uint64(len(frame)) {
			err = frameError("record " + strconv.Itoa(i) + " leaves it")
			return nil
		}
		return frame[off : off+n : off+n]
	}
	in = input{key: part(0), value: part(8), meta: part(32), valueOff: le.Uint32(d[8:])}
	in.time, in.seed = le.Uint64(d[16:]), le.Uint64(d[24:])
	return in, err
}
