//go:build unix

package host

import "syscall"

// block is address space for the whole limit, of which the system gives pages
// when they are touched. Growing moves nothing and costs nothing, where a slice
// would be copied, with both copies in memory.
type block struct {
	mem    []byte
	mapped bool // an image lies over its beginning (pages_linux.go)
}

func (b *block) resize(size, limit uint64) ([]byte, error) {
	if b.mem == nil {
		mem, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return nil, err
		}
		b.mem = mem
	}
	return b.mem[:size:limit], nil
}

func (b *block) free() {
	if b.mem != nil {
		_ = syscall.Munmap(b.mem) // fails only for addresses that are not ours
		*b = block{}
	}
}
