package wasmbin_test

import (
	"math"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/plugins/internal/wasmbin"
)

func TestNumbers(t *testing.T) {
	for _, n := range []uint32{0, 1, 127, 128, 16383, 16384, math.MaxInt32, math.MaxUint32} {
		r := wasmbin.NewReader(wasmbin.AppendU32(nil, n), 0)
		if got := r.U32(); got != n || r.Err() != nil || !r.End() {
			t.Errorf("%d: %d, %v", n, got, r.Err())
		}
	}
	// The examples of the DWARF standard, appendix C.
	for n, want := range map[int64]string{2: "\x02", -2: "\x7e", 127: "\xff\x00", -127: "\x81\x7f", 128: "\x80\x01", -128: "\x80\x7f", -129: "\xff\x7e"} {
		if got := string(wasmbin.AppendS64(nil, n)); got != want {
			t.Errorf("%d: % x, want % x", n, got, want)
		}
	}
}

func TestReaderFails(t *testing.T) {
	for _, tt := range []struct {
		name, bytes, want string
		read              func(r *wasmbin.Reader)
	}{
		{"no byte", "", "at byte 100: the module ends too early", func(r *wasmbin.Reader) { r.Byte() }},
		{"33 bits", "\xff\xff\xff\xff\x1f", "number too long", func(r *wasmbin.Reader) { r.U32() }},
		{"6 bytes", "\x80\x80\x80\x80\x80\x00", "number too long", func(r *wasmbin.Reader) { r.U32() }},
		{"short bytes", "\x05ab", "too early", func(r *wasmbin.Reader) { r.Bytes(r.U32()) }},
		{"name", "\x01\xff", "not UTF-8", func(r *wasmbin.Reader) { _ = r.Name() }},
		{"vector", "\x04", "4 entries, the limit is 3", func(r *wasmbin.Reader) { r.Each(3, func() {}) }},
		{"limits", "\x05\x00\x00", "flags 0x05", func(r *wasmbin.Reader) { r.Limits() }},
		{"labels", "\x0e\xff\xff\xff\xff\x0f", "too early", func(r *wasmbin.Reader) { r.Instr() }},
	} {
		r := wasmbin.NewReader([]byte(tt.bytes), 100)
		tt.read(r)
		if r.Err() == nil || !strings.Contains(r.Err().Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, r.Err())
		}
	}
}

// TestInstrLengths: one instruction of each form, and what it says.
func TestInstrLengths(t *testing.T) {
	for _, tt := range []struct {
		code  string
		index uint32
		has   bool
	}{
		{"\x00", 0, false}, {"\x02\x40", 0, false}, {"\x03\x7f", 0, false}, {"\x04\x81\x01", 129, true},
		{"\x0c\x05", 5, true}, {"\x0e\x02\x01\x02\x03", 0, false}, {"\x10\x80\x01", 128, true}, {"\x11\x07\x00", 7, true},
		{"\x1c\x01\x7f", 0, false}, {"\x20\x03", 3, true}, {"\x28\x02\x80\x08", 0, false}, {"\x40\x00", 0, false},
		{"\x41\xff\xff\xff\xff\x07", 0, false}, {"\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", 0, false},
		{"\x43abcd", 0, false}, {"\x44abcdefgh", 0, false}, {"\x6a", 0, false}, {"\xd0\x70", 0, false}, {"\xd2\x09", 9, true},
		{"\xfc\x07", 0, false}, {"\xfc\x08\x03\x00", 3, true}, {"\xfc\x0b\x00", 0, true}, {"\xfc\x0c\x04\x01", 4, true}, {"\xfc\x11\x02", 2, true},
		{"\xfd\x00\x04\x00", 0, false}, {"\xfd\x0c0123456789abcdef", 0, false}, {"\xfd\x15\x03", 0, false},
		{"\xfd\x54\x00\x00\x01", 0, false}, {"\xfd\xff\x01", 0, false},
	} {
		r := wasmbin.NewReader([]byte(tt.code), 0)
		in := r.Instr()
		if r.Err() != nil || !r.End() || in.Index != tt.index || in.HasIndex != tt.has {
			t.Errorf("% x: %+v, read %d bytes, %v", tt.code, in, r.Pos(), r.Err())
		}
	}
	for _, newer := range []string{"\x06", "\x12\x00", "\x1f", "\xfc\x12", "\xfd\x80\x02", "\xfe\x00",
		"\xfd\x83\x80\x00", "\xd0\xf0\x7f", "\x02\x64", "\x1c\x01\x63"} {
		r := wasmbin.NewReader([]byte(newer), 0)
		if r.Instr(); r.Err() == nil {
			t.Errorf("% x was read", newer)
		}
	}
}
