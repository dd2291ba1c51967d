//go:build linux

package host

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages is the memory of an image. On Linux it lives in a memfd, of which
// instances map private copies: pages that nobody writes exist once.
type pages struct {
	bytes []byte // not to be written
	file  *os.File
	hot   hot
}

// newPages copies mem. Where the system gives no memfd (a sandbox may forbid
// it), the copy is an ordinary slice, which can be copied back only.
func newPages(mem []byte) (*pages, error) {
	if len(mem) == 0 {
		return new(pages), nil
	}
	fd, err := unix.MemfdCreate("waybill-kernel", unix.MFD_CLOEXEC)
	if err != nil {
		return &pages{bytes: append([]byte(nil), mem...)}, nil
	}
	p := &pages{file: os.NewFile(uintptr(fd), "waybill-kernel")}
	if _, err = p.file.Write(mem); err == nil {
		p.bytes, err = unix.Mmap(fd, 0, len(mem), unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil {
		_ = p.file.Close()
	}
	return p, err
}

func (p *pages) mappable() bool { return p.file != nil }

// close frees the image; no instance may have it mapped.
func (p *pages) close() {
	if p.file != nil {
		_ = unix.Munmap(p.bytes)
		_ = p.file.Close()
	}
	p.bytes, p.file = nil, nil
}

// drop gives the guest the image again: hot pages are copied, and what it wrote
// elsewhere is thrown away with its pages. The first time it maps the image over
// the memory.
func (b *block) drop(p *pages) error {
	if !b.mapped {
		_, err := unix.MmapPtr(int(p.file.Fd()), 0, unsafe.Pointer(unsafe.SliceData(b.mem)), uintptr(len(p.bytes)),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		b.mapped = err == nil
		return err
	}
	at := 0
	for _, s := range p.hot.spans(b.mem[:len(p.bytes)]) {
		if err := b.forget(at, s.from); err != nil {
			return err
		}
		at = s.from + copy(b.mem[s.from:s.to], p.bytes[s.from:])
	}
	return b.forget(at, len(p.bytes))
}

// forget throws away the pages of a range that were written.
func (b *block) forget(from, to int) error {
	if from == to {
		return nil
	}
	return unix.Madvise(b.mem[from:to], unix.MADV_DONTNEED)
}

// zero makes a range read as zeros; its pages go back to the system. No image
// lies over it.
func (b *block) zero(from, to uint64) bool {
	return unix.Madvise(b.mem[from:to], unix.MADV_DONTNEED) == nil
}
