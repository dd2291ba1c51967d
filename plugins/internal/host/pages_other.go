//go:build !linux

package host

// pages is the memory of an image, as a slice: it is copied back.
type pages struct{ bytes []byte }

func newPages(mem []byte) (*pages, error) { return &pages{append([]byte(nil), mem...)}, nil }

func (p *pages) mappable() bool { return false }

func (p *pages) close() { p.bytes = nil }

// drop is not called: nothing is mappable.
func (b *block) drop(*pages) error { panic("no mappable images on this system") }

// zero makes a range read as zeros.
func (b *block) zero(from, to uint64) bool {
	clear(b.mem[:to][from:])
	return true
}
