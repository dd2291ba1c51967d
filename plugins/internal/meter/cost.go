package meter

import "github.com/waybill-dev/waybill/plugins/internal/wasmbin"

// Units for work that depends on an operand: memory per 16 bytes (2^4), tables
// per entry, memory.grow per page of 64 KiB, which the system must clear.
const (
	bytesShift  = 4
	pageUnits   = 1024
	heavyUnits  = 8 // integer division, square root
	minHeadCost = 1
)

// cost is the charge of an instruction without its operands' share.
func cost(in wasmbin.Instr) int64 {
	switch in.Op {
	case wasmbin.OpNop, wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpElse, wasmbin.OpEnd, wasmbin.OpDrop:
		return 0
	case 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, // i32 and i64 div and rem
		0x91, 0x9f, 0x95, 0xa3: // f32 and f64 sqrt and div
		return heavyUnits
	case wasmbin.OpVector:
		return vectorCost(in.Sub)
	}
	return 1
}

func vectorCost(sub uint32) int64 {
	switch sub {
	case 0xe3, 0xe7, 0xef, 0xf3: // f32x4 and f64x2 sqrt and div
		return heavyUnits
	}
	return 1
}

// scale is how the length on top of the stack becomes units.
type scale byte

const (
	scaleNone scale = iota
	scaleBytes
	scaleEntries
	scalePages
)

// scaleOf tells by what an instruction's work grows.
func scaleOf(in wasmbin.Instr) scale {
	switch {
	case in.Op == wasmbin.OpMemoryGrow:
		return scalePages
	case in.Op != wasmbin.OpBulk:
		return scaleNone
	}
	switch in.Sub {
	case wasmbin.SubMemoryInit, wasmbin.SubMemoryCopy, wasmbin.SubMemoryFill:
		return scaleBytes
	case wasmbin.SubTableInit, wasmbin.SubTableCopy, wasmbin.SubTableGrow, wasmbin.SubTableFill:
		return scaleEntries
	}
	return scaleNone
}
