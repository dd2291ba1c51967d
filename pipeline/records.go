package pipeline

import (
	"context"
	"time"
)

// Record is a small value that the processes on one store share: who works
// there, who holds a lane, a permit or a rate. It lives beside the queues and is
// no item.
type Record struct {
	// Name has parts separated by "/": letters, digits, ".", "_", "-".
	Name  string
	Value []byte // at most 64 KiB
	// Revision grows with each write of the name, also across its end: no two
	// writes of a name have the same.
	Revision int64
	// Until is when the record ends by itself, in the store's clock; zero: never.
	Until time.Time
}

// Records is the one primitive of coordination: a conditional write. Everything
// else (leases, registry, limits) is made of it in runtime/cluster. There is one
// clock, the store's: a record that has ended is absent for everybody at once.
type Records interface {
	// Records returns the live records whose name begins with prefix, sorted by
	// name, and the store's time of that reading.
	Records(ctx context.Context, prefix string) ([]Record, time.Time, error)
	// WriteRecord stores a value on condition that the record's revision is rev;
	// 0 means that it must be absent (or have ended). ttl 0 is for ever. It
	// returns the new revision, or ErrConflict and writes nothing. Durable.
	WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error)
	// DeleteRecord ends a record under the same condition.
	DeleteRecord(ctx context.Context, name string, rev int64) error
}

// QueueLanes is the number of lanes that the keys of every queue fall into. It
// is part of the contract between processes and never changes.
const QueueLanes = 64

// LaneSet is a set of lanes, a bit each.
type LaneSet uint64

// AllLanes has every lane.
const AllLanes = ^LaneSet(0)

// Has reports whether the lane is in the set.
func (s LaneSet) Has(lane int) bool { return s>>uint(lane)&1 == 1 }

// LaneOf returns the lane of a key, 0 to QueueLanes-1: the FNV-1a hash of its
// bytes (32 bits), folded and taken modulo QueueLanes.
func LaneOf(key string) int {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int((h>>16 ^ h) % QueueLanes)
}
