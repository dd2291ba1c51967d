//go:build linux

package host

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestHotPagesAreAGuess: whatever is written wherever, also pages that were never
// written before, the image comes back, in each of several instances that share
// what is known of hot pages.
func TestHotPagesAreAGuess(t *testing.T) {
	k := compile(t, options(counting().Bytes()))
	instances := three(t, k)
	if !k.image.pages.mappable() {
		t.Skip("this system gives no memfd")
	}
	k.image.mapped = true
	image := k.image.pages.bytes
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		i := instances[round%len(instances)]
		mem := i.memory.block.mem[:i.memory.size]
		for range random.IntN(20) {
			at := random.IntN(len(mem))
			if random.IntN(4) > 0 {
				at %= len(mem) / 8 // a hot part
			}
			mem[at] ^= 0xff
		}
		if err := i.restore(k.image); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(mem, image) {
			t.Fatalf("round %d: the image did not come back", round)
		}
	}
	if k.image.pages.hot.found.Load() == nil {
		t.Error("no page is known as hot: is /proc/self/pagemap there?")
	}
}

// TestRangesAreWholePages of the machine, whatever their size is.
func TestRangesAreWholePages(t *testing.T) {
	pages := make([]bool, 4096)
	for n := range pages {
		pages[n] = n%7 == 3 || n%64 < 3
	}
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10} {
		spans := ranges(pages, size)
		if len(spans) == 0 || len(spans) > maxHot {
			t.Fatalf("pages of %d: %d spans", size, len(spans))
		}
		in, last := make([]bool, len(pages)), 0
		for _, s := range spans {
			if s.from%size != 0 || s.to%size != 0 || s.from < last || s.to <= s.from {
				t.Fatalf("pages of %d: span %+v after %d", size, s, last)
			}
			for n := s.from / size; n < s.to/size; n++ {
				in[n] = true
			}
			last = s.to
		}
		for n, written := range pages {
			if written && !in[n] {
				t.Errorf("pages of %d: page %d is in no span", size, n)
			}
		}
	}
}
