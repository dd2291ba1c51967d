package wasmtest

import "bytes"

// Const pushes an i32.
func Const(n int32) []byte { return append([]byte{0x41}, sleb(int64(n))...) }

// Const64 pushes an i64.
func Const64(n int64) []byte { return append([]byte{0x42}, sleb(n)...) }

// Call calls a function.
func Call(index uint32) []byte { return append([]byte{0x10}, leb(index)...) }

// Local pushes a local variable.
func Local(i uint32) []byte { return append([]byte{0x20}, leb(i)...) }

// Single instructions.
var (
	unreachable = []byte{0x00}
	drop        = []byte{0x1a}
)

// Unreachable traps.
func Unreachable() []byte { return unreachable }

// Drop pops.
func Drop() []byte { return drop }

// Forever is an endless loop.
func Forever() []byte { return []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} }

// Repeat runs the body for ever: a body that traps or exits ends it.
func Repeat(body ...[]byte) []byte {
	return cat([]byte{0x03, 0x40}, cat(body...), []byte{0x0c, 0x00, 0x0b})
}

// Grow pushes the result of growing the memory by the pages on the stack.
func Grow() []byte { return []byte{0x40, 0x00} }

// Load pushes the i32 at the address on the stack.
func Load() []byte { return LoadAt(0) }

// LoadAt pushes the i32 at the address on the stack plus offset.
func LoadAt(offset uint32) []byte { return append([]byte{0x28, 0x02}, leb(offset)...) }

// Sub subtracts the i32 on the stack from the one below it.
func Sub() []byte { return []byte{0x6b} }

// Negative is an i32 comparison of the value on the stack with 0.
func Negative() []byte { return []byte{0x41, 0x00, 0x48} }

// If runs the body if the i32 on the stack is not 0.
func If(body ...[]byte) []byte { return cat([]byte{0x04, 0x40}, cat(body...), []byte{0x0b}) }

// Packed is the constant answer of k1_run: n bytes at ptr.
func Packed(ptr, n uint32) []byte { return Const64(int64(uint64(ptr)<<32 | uint64(n))) }

// Return ends the function with what is on the stack.
func Return() []byte { return []byte{0x0f} }

// LessU is an unsigned i32 comparison of the two values on the stack.
func LessU() []byte { return []byte{0x49} }

// Fill sets as many bytes as the top of the stack says to the value below it,
// from the address below that.
func Fill() []byte { return []byte{0xfc, 0x0b, 0x00} }

// Store writes the i32 on the stack to the address below it.
func Store() []byte { return []byte{0x36, 0x02, 0x00} }

// NoFunc pushes a null function reference.
func NoFunc() []byte { return []byte{0xd0, 0x70} }

// GrowTable pushes the result of growing the table by the i32 on the stack, with
// the reference below it.
func GrowTable() []byte { return []byte{0xfc, 0x0f, 0x00} }

// CallIndirect calls the table's entry that the i32 on the stack names.
func CallIndirect(sig uint32) []byte { return cat([]byte{0x11}, leb(sig), []byte{0x00}) }

// Nested are n blocks inside each other.
func Nested(n int) []byte {
	return cat(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0b}, n))
}

// BranchTable is a br_table with n entries and a default.
func BranchTable(n int) []byte {
	return cat([]byte{0x02, 0x40}, Const(0), []byte{0x0e}, leb(uint32(n)), make([]byte, n+1), []byte{0x0b})
}
