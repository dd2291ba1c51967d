//go:build !unix

package host

// block is a slice that doubles within its limit.
type block struct{ mem []byte }

func (b *block) resize(size, limit uint64) ([]byte, error) {
	if size > uint64(cap(b.mem)) {
		grown := make([]byte, size, min(limit, max(size, 2*uint64(cap(b.mem)))))
		copy(grown, b.mem)
		b.mem = grown
	}
	b.mem = b.mem[:size]
	return b.mem, nil
}

func (b *block) free() { b.mem = nil }
