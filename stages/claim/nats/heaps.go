package nats

import (
	"container/heap"

	"github.com/waybill-dev/waybill/pipeline"
)

// shelf has the items of one priority that may be claimable, by lane: a process
// that may claim some lanes only never meets what waits in the others.
type shelf struct {
	lanes  [keyless + 1]bySeq
	filled pipeline.LaneSet // lanes with items; keyless is not among them
}

// keyless is the lane of the items without a key, which are anybody's.
const keyless = pipeline.QueueLanes

func laneOf(key string) int {
	if key == "" {
		return keyless
	}
	return pipeline.LaneOf(key)
}

func (s *shelf) push(x *item) {
	heap.Push(&s.lanes[x.lane], x)
	if x.lane != keyless {
		s.filled |= 1 << x.lane
	}
}

func (s *shelf) pop(lane int) {
	heap.Pop(&s.lanes[lane])
	if lane != keyless && len(s.lanes[lane]) == 0 {
		s.filled &^= 1 << lane
	}
}

// bySeq is a heap of items, the oldest first.
type bySeq []*item

func (h bySeq) Len() int           { return len(h) }
func (h bySeq) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h bySeq) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *bySeq) Push(x any)        { *h = append(*h, x.(*item)) }
func (h *bySeq) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return x
}

// delay is an item that waits for its time.
type delay struct {
	at int64
	x  *item
}

// live reports whether the entry was not replaced by a later one.
func (d delay) live() bool { return d.x.delayedAt == d.at }

// delays is a heap, the earliest first.
type delays []delay

func (h delays) Len() int           { return len(h) }
func (h delays) Less(i, j int) bool { return h[i].at < h[j].at }
func (h delays) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *delays) Push(x any)        { *h = append(*h, x.(delay)) }
func (h *delays) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
