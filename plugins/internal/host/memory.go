package host

import "github.com/tetratelabs/wazero/experimental"

// memory is the linear memory of one instance. It never grows beyond its limit
// and remembers that the guest tried to, because the trap that follows ("out of
// bounds", "unreachable", an exit) does not say so.
type memory struct {
	limit   uint64
	refused bool
	block   block
}

// allocator gives an instance its memory.
func (m *memory) allocator() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return m })
}

// Reallocate is memory.grow, and the first allocation.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	b, err := m.block.resize(size, m.limit)
	if err != nil {
		m.refused = true
		return nil
	}
	return b
}

// Free gives the memory back; no view of it may be used afterwards.
func (m *memory) Free() { m.block.free() }
