package host

import (
	"context"
	"fmt"
	"slices"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// extismHeap is the memory of Extism's kernel, a small module that the SDK runs
// beside each plug-in: there lie its input, its output, and the blocks that it
// allocates to talk to the host.
//
// The kernel is trusted and not metered, and its headers stand between the
// blocks. A plug-in that could write there would make it walk in circles for
// ever. So a plug-in writes into its blocks and nowhere else, for which the
// blocks are kept in a table here. That also answers what the kernel would have
// to walk for.
type extismHeap struct {
	kernel api.Module
	memory api.Memory
	blocks []extismBlock // in the order of their addresses
	made   int64         // how many were ever allocated: what the kernel walks over
	input  extismBlock
}

type extismBlock struct{ at, size uint32 }

// open finds the kernel of the running call and the input in it.
func (h *extismHeap) open(ctx context.Context) error {
	if h.kernel != nil {
		return nil
	}
	kernel, ok := ctx.Value(extism.PluginCtxKey("extism")).(api.Module)
	if !ok {
		return fmt.Errorf("called before the plug-in was started")
	}
	h.kernel, h.memory = kernel, kernel.Memory()
	at, err := h.call(ctx, "input_offset")
	if err != nil {
		return err
	}
	size, err := h.call(ctx, "input_length")
	if err != nil {
		return err
	}
	if h.input = (extismBlock{uint32(at), uint32(size)}); size > 0 {
		h.insert(h.input)
	}
	return nil
}

// call calls one of the kernel's own functions.
func (h *extismHeap) call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	results, err := h.kernel.ExportedFunction(name).Call(ctx, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}

// alloc returns a new block; ok false means that there is no room for it.
func (h *extismHeap) alloc(ctx context.Context, size uint64) (at uint32, ok bool, err error) {
	if size == 0 {
		return 0, true, nil
	}
	if size > module.PageSize*module.PageSize/2 {
		return 0, false, nil
	}
	p, err := h.call(ctx, "alloc", size)
	if err != nil || p == 0 {
		return 0, false, err
	}
	h.insert(extismBlock{uint32(p), uint32(size)})
	return uint32(p), true, nil
}

// free gives a block back. An address that is none is left alone, as Extism does.
func (h *extismHeap) free(ctx context.Context, at uint64) error {
	n, found := h.find(at)
	if !found {
		return nil
	}
	h.blocks = slices.Delete(h.blocks, n, n+1)
	_, err := h.call(ctx, "free", at)
	return err
}

func (h *extismHeap) insert(b extismBlock) {
	n, _ := h.find(uint64(b.at))
	h.blocks = slices.Insert(h.blocks, n, b)
	h.made++
}

// find returns where the block at an address is in the table, or would be.
func (h *extismHeap) find(at uint64) (n int, found bool) {
	return slices.BinarySearchFunc(h.blocks, at, func(b extismBlock, at uint64) int {
		switch {
		case uint64(b.at) < at:
			return -1
		case uint64(b.at) > at:
			return 1
		}
		return 0
	})
}

// length returns the size of the block at an address, 0 if there is none.
func (h *extismHeap) length(at uint64) uint32 {
	if n, found := h.find(at); found {
		return h.blocks[n].size
	}
	return 0
}

// bytes returns a view of the block at an address; nil if there is none.
func (h *extismHeap) bytes(at uint64) []byte {
	b, _ := h.memory.Read(uint32(at), h.length(at))
	return b
}

// slot returns a view of n bytes that the plug-in may write: they lie inside a
// block.
func (h *extismHeap) slot(at uint64, n uint32) ([]byte, error) {
	i, exact := h.find(at)
	if !exact {
		i--
	}
	if i < 0 || at+uint64(n) > uint64(h.blocks[i].at)+uint64(h.blocks[i].size) || at+uint64(n) < at {
		return nil, fmt.Errorf("%d bytes at %d lie in no block that was allocated", n, at)
	}
	b, ok := h.memory.Read(uint32(at), n)
	if !ok {
		return nil, fmt.Errorf("%d bytes at %d lie outside the memory", n, at)
	}
	return b, nil
}

// load returns a view of n bytes that the plug-in may read: all memory.
func (h *extismHeap) load(at uint64, n uint32) ([]byte, error) {
	b, ok := []byte(nil), false
	if at <= uint64(h.memory.Size()) {
		b, ok = h.memory.Read(uint32(at), n)
	}
	if !ok {
		return nil, fmt.Errorf("%d bytes at %d lie outside the memory", n, at)
	}
	return b, nil
}
