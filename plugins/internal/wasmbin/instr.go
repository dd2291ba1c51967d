package wasmbin

// Instr is one instruction. Index is its first index immediate: a label, a
// function, a local, a global, a table, a segment, or the type of a block or
// indirect call.
type Instr struct {
	Op  byte
	Sub uint32 // after the prefixes 0xfc and 0xfd
	// Index is the first index immediate; HasIndex is false where a block has
	// no type index.
	Index    uint32
	HasIndex bool
	// Labels of br_table, the default last; valid until the next instruction.
	Labels []uint32
}

// Opcodes that callers tell apart.
const (
	OpUnreachable  = 0x00
	OpNop          = 0x01
	OpBlock        = 0x02
	OpLoop         = 0x03
	OpIf           = 0x04
	OpElse         = 0x05
	OpEnd          = 0x0b
	OpBr           = 0x0c
	OpBrIf         = 0x0d
	OpBrTable      = 0x0e
	OpReturn       = 0x0f
	OpCall         = 0x10
	OpCallIndirect = 0x11
	OpDrop         = 0x1a
	OpLocalGet     = 0x20
	OpLocalSet     = 0x21
	OpLocalTee     = 0x22
	OpGlobalGet    = 0x23
	OpGlobalSet    = 0x24
	OpTableGet     = 0x25
	OpTableSet     = 0x26
	OpMemoryGrow   = 0x40
	OpI32Const     = 0x41
	OpI64Const     = 0x42
	OpF32Const     = 0x43
	OpF64Const     = 0x44
	OpI64LtS       = 0x53
	OpI64Sub       = 0x7d
	OpI64Mul       = 0x7e
	OpI64ShrU      = 0x88
	OpI64ExtendU   = 0xad // i64.extend_i32_u
	OpRefNull      = 0xd0
	OpRefFunc      = 0xd2
	OpBulk         = 0xfc // prefix
	OpVector       = 0xfd // prefix
)

// Instructions after OpBulk.
const (
	SubMemoryInit = 8
	SubDataDrop   = 9
	SubMemoryCopy = 10
	SubMemoryFill = 11
	SubTableInit  = 12
	SubElemDrop   = 13
	SubTableCopy  = 14
	SubTableGrow  = 15
	SubTableSize  = 16
	SubTableFill  = 17
)

// SubV128Const is v128.const after OpVector.
const SubV128Const = 12

// EmptyBlock is the type of a block without parameters and results.
const EmptyBlock = 0x40

// Instr reads one instruction. Those of proposals after specification 2.0 fail.
func (r *Reader) Instr() Instr {
	in := Instr{Op: r.Byte()}
	index := func() { in.Index, in.HasIndex = r.U32(), true }
	switch op := in.Op; {
	case op >= 0x45 && op <= 0xc4, op <= OpNop, op == OpElse, op == OpEnd, op == OpReturn, op == OpDrop, op == 0x1b, op == 0xd1:
	case op >= OpLocalGet && op <= OpTableSet, op == OpBr, op == OpBrIf, op == OpCall, op == OpRefFunc:
		index()
	case op >= OpBlock && op <= OpIf:
		in.Index, in.HasIndex = r.blockType()
	case op == OpBrTable:
		in.Labels = r.labelsOfBrTable()
	case op == OpCallIndirect:
		index()
		r.U32()
	case op == 0x1c: // select with types
		r.Each(1, func() { r.ValueType() })
	case op >= 0x28 && op <= 0x3e:
		r.memArg()
	case op == 0x3f, op == OpMemoryGrow:
		r.Byte()
	case op == OpRefNull:
		r.ValueType()
	case op == OpI32Const:
		r.skip(5)
	case op == OpI64Const:
		r.skip(10)
	case op == OpF32Const:
		r.Bytes(4)
	case op == OpF64Const:
		r.Bytes(8)
	case op == OpBulk:
		r.bulk(&in)
	case op == OpVector:
		r.vector(&in)
	default:
		r.Fail("instruction 0x%02x is not supported", op)
	}
	return in
}

// blockType reads a signed 33-bit number: negative for value types and for no
// type, else a type index.
func (r *Reader) blockType() (index uint32, has bool) {
	if !r.End() && r.b[r.pos]&0xc0 == 0x40 {
		if r.b[r.pos] == EmptyBlock {
			r.pos++
		} else {
			r.ValueType()
		}
		return 0, false
	}
	return r.U32(), true
}

func (r *Reader) labelsOfBrTable() []uint32 {
	n := r.U32()
	if uint64(n) >= uint64(len(r.b)) {
		r.Fail("the module ends too early")
		return nil
	}
	r.labels = r.labels[:0]
	for range n + 1 {
		r.labels = append(r.labels, r.U32())
	}
	return r.labels
}

func (r *Reader) memArg() {
	r.U32() // alignment
	r.U32() // offset
}

// vectorNumber reads the number behind OpVector in its shortest form only: wazero
// reads one byte and then a nop, and code that two readers see differently could
// hide from one of them.
func (r *Reader) vectorNumber() uint32 {
	n := uint32(r.Byte())
	if n >= 0x80 && r.Byte() != 1 {
		r.Fail("instruction number is not in its shortest form, or not supported")
	}
	return n
}

func (r *Reader) bulk(in *Instr) {
	in.Sub = r.U32()
	switch sub := in.Sub; {
	case sub < SubMemoryInit: // saturating conversions
	case sub == SubMemoryInit, sub == SubMemoryCopy, sub == SubTableInit, sub == SubTableCopy:
		in.Index, in.HasIndex = r.U32(), true
		r.U32()
	case sub <= SubTableFill:
		in.Index, in.HasIndex = r.U32(), true
	default:
		r.Fail("instruction 0xfc %d is not supported", sub)
	}
}

func (r *Reader) vector(in *Instr) {
	in.Sub = r.vectorNumber()
	switch sub := in.Sub; {
	case sub <= 11, sub == 92, sub == 93: // loads, splats, store
		r.memArg()
	case sub == SubV128Const, sub == 13: // shuffle
		r.Bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.Byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		r.memArg()
		r.Byte()
	case sub > 0xff:
		r.Fail("instruction 0xfd %d is not supported", sub)
	}
}
