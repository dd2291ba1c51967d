package meter

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A Hist is a log-linear histogram of durations: every power of two is cut into
// 16 equal buckets, so that a quantile is at most 1/16 (6.25 %) above the true
// value and never below it. Durations over 2^42 ns (73 min) fall into the last
// bucket; the exact largest is kept beside. The zero Hist is ready.
type Hist struct {
	buckets [bucketCount]atomic.Int64
	count   atomic.Int64
	sum     atomic.Int64
	max     atomic.Int64
}

const (
	subBits     = 4
	sub         = 1 << subBits
	maxBits     = 42
	bucketCount = (maxBits - subBits + 1) * sub
)

// bucketOf returns the bucket of a duration in nanoseconds.
func bucketOf(ns int64) int {
	if ns < sub {
		return int(max(0, ns))
	}
	shift := bits.Len64(uint64(ns)) - 1 - subBits
	return min(bucketCount-1, shift*sub+int(ns>>shift))
}

// upper returns the largest duration of a bucket.
func upper(bucket int) int64 {
	if bucket < 2*sub {
		return int64(bucket)
	}
	shift := bucket/sub - 1
	return (int64(bucket%sub+sub)+1)<<shift - 1
}

// Record adds one duration.
func (h *Hist) Record(d time.Duration) {
	h.buckets[bucketOf(int64(d))].Add(1)
	h.count.Add(1)
	h.sum.Add(int64(d))
	for m := h.max.Load(); int64(d) > m && !h.max.CompareAndSwap(m, int64(d)); m = h.max.Load() {
	}
}

// Count returns how many durations were recorded.
func (h *Hist) Count() int64 { return h.count.Load() }

// Sum returns the sum of the durations that were recorded.
func (h *Hist) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Quantile returns the duration that a share q (0 to 1) of the recorded ones
// does not exceed (the nearest-rank method), rounded up to its bucket; 0 if
// there are none.
func (h *Hist) Quantile(q float64) time.Duration {
	n := h.count.Load()
	if n == 0 {
		return 0
	}
	rank := max(1, int64(math.Ceil(q*float64(n))))
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank <= 0 && i < bucketCount-1 {
			return time.Duration(min(upper(i), h.max.Load()))
		}
	}
	return time.Duration(h.max.Load())
}

// Below returns how many recorded durations are at most limit, to the
// histogram's resolution: the numbers that Prometheus wants.
func (h *Hist) Below(limit time.Duration) (n int64) {
	for i := 0; i <= bucketOf(int64(limit)); i++ {
		n += h.buckets[i].Load()
	}
	return n
}
