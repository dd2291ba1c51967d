package pipeline

import (
	"context"
	"time"
)

// QueueTools is what operators do to a queue beside Retry and Drop. Each change
// is durable when its call returns. A filter whose State excludes what a call
// may touch matches nothing.
type QueueTools interface {
	// Count returns how many entries match, in one consistent read.
	Count(ctx context.Context, f Filter) (int64, error)
	// Pause stops claims from the queue, in every process, until it is called
	// with false. What is leased goes on and ends as ever.
	Pause(ctx context.Context, paused bool) error
	// Cancel asks that items which have not ended run no more, and returns how
	// many. A leased one is taken from its worker: its lease is lost. Each is
	// claimable at once, whatever its wait, and its claim is condemned (code
	// "cancelled"), so that it ends as dead with a receipt. Retry clears it.
	Cancel(ctx context.Context, f Filter) (int, error)
	// Move puts items that are not leased into another queue of the same store,
	// which it makes if need be, at that queue's end, with their state and
	// history, and returns how many. Ids and idempotency keys that the other
	// queue has already are an error, and then nothing is moved (nats: nothing of
	// that thousand).
	Move(ctx context.Context, f Filter, to string) (int, error)
	// Export calls yield for each whole entry, oldest first, with bodies and
	// history, and never holds more than a page of them in memory.
	Export(ctx context.Context, f Filter, yield func(Entry) error) error
	// Import adds entries as Export gave them, in their order: a leased one as
	// ready with its attempts, an ended one as ended. An id that is there already
	// is left as it is, and an idempotency key that another item has is left out.
	// It returns how many were added; all of a call or none.
	Import(ctx context.Context, entries []Entry) (int, error)
	// Compact deletes items that were done at least keep ago, with their history,
	// and gives the space of everything deleted back where the store can. Dead
	// letters stay: somebody still has to look at them, and Drop takes them.
	Compact(ctx context.Context, keep time.Duration) (Compaction, error)
}

// Compaction is what Compact did.
type Compaction struct {
	// Deleted counts items.
	Deleted int64 `json:"deleted"`
	// Before and After are the store's size in bytes; 0 if it does not tell.
	Before int64 `json:"before,omitempty"`
	After  int64 `json:"after,omitempty"`
}

// Waker is a Source that knows when something may have become claimable: an
// enqueue of this process, or a change that the store tells of. Polling goes on
// all the same.
type Waker interface {
	// Wakes returns a channel that gets a value, if it has room for one, whenever
	// a claim may find more than the last one did.
	Wakes() <-chan struct{}
}
