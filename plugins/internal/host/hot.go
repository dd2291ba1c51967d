package host

import (
	"bytes"
	"sync/atomic"
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
	pageSize = 4096
	// bridge is the largest gap between two spans that is copied rather than
	// dropped: a system call costs as much as copying some pages.
	bridge = 4 * pageSize
	// maxHot bounds the spans, and so the system calls of a restore.
	maxHot = 64
)

// spans returns the hot ranges in order. At the first restore, and now and then
// later, it looks for pages that the call before has changed.
func (h *hot) spans(mem, image []byte) []span {
	n := h.restores.Add(1)
	known := h.found.Load()
	if n&(n-1) != 0 || n > 1<<10 { // 1, 2, 4, ... 1024
		if known == nil {
			return nil
		}
		return *known
	}
	var before []span
	if known != nil {
		before = *known
	}
	all := changed(mem, image, before)
	h.found.Store(&all)
	return all
}

// changed lists the pages that differ from the image or were hot before.
func changed(mem, image []byte, before []span) []span {
	var out []span
	for at := 0; at < len(image); at += pageSize {
		end := min(at+pageSize, len(image))
		for len(before) > 0 && before[0].to <= at {
			before = before[1:]
		}
		known := len(before) > 0 && before[0].from <= at
		if !known && bytes.Equal(mem[at:end], image[at:end]) {
			continue
		}
		if n := len(out); n > 0 && (at-out[n-1].to <= bridge || n == maxHot) {
			out[n-1].to = end
			continue
		}
		out = append(out, span{at, end})
	}
	return out
}
