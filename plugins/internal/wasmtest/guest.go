package wasmtest

// Addresses of a Guest's memory.
const (
	AnswerAt = 1024
	BufferAt = 64 << 10
	pages    = 8
)

// Guest is a k1 kernel with one thing wrong or none: the zero Guest answers
// every batch with an empty frame.
type Guest struct {
	// Import adds imports; it runs before any function exists.
	Import func(m *Module)
	// Run is the body of k1_run; nil answers with Answer.
	Run [][]byte
	// Init is the body of k1_init; nil answers 0.
	Init [][]byte
	// ABI is what k1_abi answers, Buffer what k1_buffer answers (0: BufferAt).
	ABI    int64
	Buffer int32
	// Room is the body of k1_buffer; nil answers Buffer.
	Room [][]byte
	// Pages is the size of the memory; 0 means 8.
	Pages uint32
	// Answer is the out frame; nil is one without operations.
	Answer []byte
	// Then may add to the module or break it.
	Then func(m *Module)
}

// EmptyFrame is an out frame without operations: everything is dropped.
func EmptyFrame() []byte { return []byte{0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} }

// KeepFirst is an out frame that keeps record 0.
func KeepFirst() []byte {
	return append([]byte{1, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 24)...)
}

// Bytes assembles the guest.
func (g Guest) Bytes() []byte {
	m := new(Module)
	if g.Import != nil {
		g.Import(m)
	}
	if g.Answer == nil {
		g.Answer = EmptyFrame()
	}
	if g.Buffer == 0 {
		g.Buffer = BufferAt
	}
	if g.Run == nil {
		g.Run = [][]byte{Packed(AnswerAt, uint32(len(g.Answer)))}
	}
	if g.Init == nil {
		g.Init = [][]byte{Const64(0)}
	}
	if g.Room == nil {
		g.Room = [][]byte{Const(g.Buffer)}
	}
	if g.Pages == 0 {
		g.Pages = pages
	}
	m.Memory(g.Pages)
	m.Data(AnswerAt, g.Answer)
	m.Func("k1_abi", nil, []byte{I64}, 0, Const64(g.ABI))
	m.Func("k1_buffer", []byte{I32}, []byte{I32}, 0, g.Room...)
	m.Func("k1_init", []byte{I32, I32}, []byte{I64}, 0, g.Init...)
	m.Func("k1_run", []byte{I32, I32}, []byte{I64}, 0, g.Run...)
	if g.Then != nil {
		g.Then(m)
	}
	return m.Bytes()
}
