package host

import (
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/waybill-dev/waybill/plugins/internal/meter"
)

// image is the state of an instance at a moment: its memory and its globals,
// which is all that it has, as long as its code changes no table and drops no
// segment. Every instance of a kernel is put back to the image that was taken
// of the first one after its start, so that each call begins in the same state,
// whatever the instance did before and in whatever process it runs.
type image struct {
	pages   *pages
	globals []uint64
	in      uint32 // the input buffer
	inCap   uint32
	// mapped tells that instances are restored by throwing away the pages that
	// they wrote, of a copy-on-write mapping, and not by copying all of it.
	mapped bool
}

// copyLimit is the size up to which copying an image is faster than mapping it,
// where nothing was measured: it takes as long as telling the system to drop
// pages.
const copyLimit = 64 << 10

// snapshot takes the image of an instance that is not running.
func (s *session) snapshot() (*image, error) {
	mem, _ := s.memory.view(0, uint32(s.memory.size))
	p, err := newPages(mem)
	if err != nil {
		return nil, fmt.Errorf("kernel %s: image of its memory: %w", s.kernel.Name, err)
	}
	img := &image{pages: p, globals: make([]uint64, len(s.globals))}
	for n, g := range s.globals {
		img.globals[n] = g.Get()
	}
	img.mapped = p.mappable() && len(mem) > copyLimit
	return img, nil
}

// restore puts an instance back.
func (s *session) restore(img *image) error {
	if err := s.resize(uint64(len(img.pages.bytes))); err != nil {
		return err
	}
	for n, g := range s.globals {
		g.Set(img.globals[n])
	}
	if !img.mapped {
		copy(s.memory.block.mem, img.pages.bytes)
		return nil
	}
	return s.memory.block.drop(img.pages)
}

// restorable tells that restore can bring the instance back. A stack that
// overflowed stays with its function, and memory at the module's own maximum
// cannot be made to shrink.
func (s *session) restorable(img *image) bool {
	if img == nil || s.spoiled {
		return false
	}
	size := uint64(len(img.pages.bytes))
	return s.memory.size == size || size > 0 && s.memory.size > size && !s.full()
}

// full tells that the engine would refuse to grow the memory by a page.
func (s *session) full() bool {
	most, has := s.module.Memory().Definition().Max()
	return has && s.memory.size >= uint64(most)<<16
}

// probes is how often each way of restoring is timed.
const probes = 5

// faster times both ways of restoring after the call, whichever it is, and
// leaves the image with the faster one. The guest sees no difference.
func (s *session) faster(img *image, call func() error) error {
	if !img.pages.mappable() {
		return nil
	}
	var took [2]time.Duration
	for n := range 2 * probes {
		way := n % 2
		img.mapped = way == 1
		if !s.restorable(img) {
			return nil
		}
		began := time.Now()
		if err := s.restore(img); err != nil {
			return err
		}
		if err := call(); err != nil {
			return err
		}
		if n >= 2 { // the first of each makes the mapping
			took[way] += time.Since(began)
		}
	}
	img.mapped = took[1] < took[0]
	return nil
}

// exportedGlobals finds the globals that the meter exported; ok is false if one
// is of a type that cannot be put back through an API of 64 bits.
func exportedGlobals(m api.Module, globals []meter.Global) []api.MutableGlobal {
	out := make([]api.MutableGlobal, len(globals))
	for n, g := range globals {
		out[n] = m.ExportedGlobal(g.Export).(api.MutableGlobal)
	}
	return out
}

// unrestorable says why instances of a module cannot be put back to an image;
// empty if they can.
func unrestorable(m *meter.Metered) string {
	switch {
	case m.WritesTables:
		return "it changes its tables"
	case m.DropsSegments:
		return "it drops data or element segments"
	}
	for _, g := range m.Globals {
		switch g.Type {
		case api.ValueTypeI32, api.ValueTypeI64, api.ValueTypeF32, api.ValueTypeF64:
		default:
			return fmt.Sprintf("its global %d is neither a number nor constant", g.Index)
		}
	}
	return ""
}
