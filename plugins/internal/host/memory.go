package host

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// memory is the linear memory of one instance. It never grows beyond its limit
// and remembers that the guest tried to, because the trap that follows ("out of
// bounds", "unreachable", an exit) does not say so.
type memory struct {
	limit   uint64
	size    uint64 // what the guest has of it
	smaller uint64 // what it is to have, while shrink runs
	refused bool
	block   block
}

// allocator gives an instance its memory.
func (m *memory) allocator() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return m })
}

// Reallocate is memory.grow, and the first allocation.
func (m *memory) Reallocate(size uint64) []byte {
	if m.smaller != 0 {
		m.size = m.smaller
		return m.block.mem[:m.size:m.limit]
	}
	if size > m.limit {
		m.refused = true
		return nil
	}
	b, err := m.block.resize(size, m.limit)
	if err != nil {
		m.refused = true
		return nil
	}
	m.size = size
	return b
}

// view returns n bytes of the guest's memory at ptr, or ok false if they are not
// all inside. It is valid until the guest runs again.
func (m *memory) view(ptr, n uint32) (b []byte, ok bool) {
	if uint64(ptr)+uint64(n) > m.size {
		return nil, false
	}
	return m.block.mem[ptr:][:n:n], true
}

// resize gives the guest as much memory as an image has.
func (s *session) resize(size uint64) error {
	const page = 65536
	m, engine := &s.memory, s.module.Memory()
	switch {
	case m.size == size:
		return nil
	case m.size > size && size > 0 && m.shrink(engine, size):
		return nil
	case m.size < size:
		if _, ok := engine.Grow(uint32((size - m.size) / page)); ok && m.size == size {
			return nil
		}
	}
	return fmt.Errorf("its memory of %d bytes cannot be made %d", m.size, size)
}

// shrink takes back what the guest's memory grew beyond size, which is not 0.
// WebAssembly has no such operation, but an allocator may answer the engine's
// request for more with less, and the engine takes what it gets. It does not
// ask if the module's own maximum is reached: then shrink is false.
func (m *memory) shrink(engine api.Memory, size uint64) bool {
	grown := m.size
	m.smaller = size
	_, asked := engine.Grow(1)
	m.smaller = 0
	return asked && m.size == size && m.block.zero(size, grown)
}

// Free gives the memory back; no view of it may be used afterwards.
func (m *memory) Free() {
	m.block.free()
	m.size = 0
}
