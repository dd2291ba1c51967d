//go:build linux

package host

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"unsafe"
)

// hot knows the pages of an image that calls usually write: stack, buffers, the
// heads of a heap. They are copied back, because a page that was dropped costs a
// page fault when it is written again, many times as much as copying it. What a
// call wrote elsewhere is dropped with its pages, so that a guess that is wrong
// costs time and nothing else.
type hot struct {
	found    atomic.Pointer[[]span]
	restores atomic.Int64
}

// span is a range of bytes, whole pages.
type span struct{ from, to int }

const (
	// bridge is the largest gap between two spans that is copied rather than
	// dropped: a system call costs as much as copying some pages.
	bridge = 16 << 10
	// maxHot bounds the spans, and so the system calls of a restore.
	maxHot = 64
	// lastLook is the restore after which it looks no more.
	lastLook = 1 << 10
)

// spans returns the hot ranges in order. At the first restore, and now and then
// later, it looks for pages that the call before has written.
func (h *hot) spans(mapped []byte) []span {
	n := h.restores.Add(1)
	if n&(n-1) == 0 && n <= lastLook { // 1, 2, 4, ...
		h.look(mapped)
	}
	if p := h.found.Load(); p != nil {
		return *p
	}
	return nil
}

// look adds the pages that were written. Where the system does not tell, nothing
// is hot.
func (h *hot) look(mapped []byte) {
	size := os.Getpagesize() // 16 or 64 KiB on some ARM machines
	pages, err := written(mapped, size)
	if err != nil {
		return
	}
	if p := h.found.Load(); p != nil {
		for _, s := range *p {
			for n := s.from / size; n < s.to/size; n++ {
				pages[n] = true
			}
		}
	}
	found := ranges(pages, size)
	h.found.Store(&found)
}

// ranges joins pages to spans.
func ranges(pages []bool, size int) []span {
	var out []span
	for p, in := range pages {
		if !in {
			continue
		}
		at := p * size
		if n := len(out); n > 0 && (at-out[n-1].to <= bridge || n == maxHot) {
			out[n-1].to = at + size
		} else {
			out = append(out, span{at, at + size})
		}
	}
	return out
}

// Bits of an entry of /proc/self/pagemap; see the kernel's
// Documentation/admin-guide/mm/pagemap.rst.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageFile    = 1 << 61 // of the file (the image); a written one is the process's own
)

// written tells which pages, of so many bytes, of a private mapping of a file were
// written.
func written(mapped []byte, size int) ([]bool, error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const entry = 8
	entries := make([]byte, entry*(len(mapped)/size))
	first := uintptr(unsafe.Pointer(unsafe.SliceData(mapped))) / uintptr(size)
	if _, err := f.ReadAt(entries, int64(first)*entry); err != nil {
		return nil, err
	}
	pages := make([]bool, len(mapped)/size)
	for p := range pages {
		e := binary.NativeEndian.Uint64(entries[entry*p:])
		pages[p] = e&pageSwapped != 0 || e&pagePresent != 0 && e&pageFile == 0
	}
	return pages, nil
}
