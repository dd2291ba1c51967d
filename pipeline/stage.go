package pipeline

import (
	"context"
	"io"
	"time"
)

// Stage is one step of a pipeline. The engine calls Process from several
// goroutines at once, each with an item of its own, never more than the
// stage's concurrency. Process changes the item it is given; its error's Kind
// decides what becomes of the item. It must return soon after ctx is done. ctx
// ends at the stage's timeout, the item's deadline, the loss of its lease and
// the end of the drain.
//
// A failed Process leaves no trace in the item: unless it succeeded or the kind
// is Skip, the engine puts body, metadata, artifacts, outputs, dependencies and
// receipt back as they were, before it tries again or ends the item. It does so
// without a copy, so values below them (a decoded body, an artifact's data) are
// never changed in place, only replaced (Item.SetMeta, Item.SetArtifact).
type Stage interface {
	Process(ctx context.Context, it *Item) error
}

// Batcher is a Stage that is cheaper for several items at once (one fsync, one
// signature, one kernel call). The engine gathers items and calls ProcessBatch
// instead of Process. The result has one error per item, or is nil when all
// succeeded.
type Batcher interface {
	Stage
	ProcessBatch(ctx context.Context, items []*Item) []error
	// Batching returns the largest batch and how long an item waits for
	// company. A batch is also closed as soon as no other item can join it.
	Batching() (max int, linger time.Duration)
}

// Starter is implemented by stages and sources that prepare something before
// the first item: open files, launch a browser, compile a kernel. An error
// ends the run before anything is claimed.
type Starter interface {
	Start(ctx context.Context) error
}

// Closer is implemented by stages and sources that own something. Close is
// called once, after the last item, also when Start failed half-way.
type Closer = io.Closer

// Committer is implemented by stages (witness) that keep evidence of how items
// end. The engine calls Commit before it tells the queue, for each end that the
// stage's own Process has not seen: an item or child that is dead, dropped or
// skipped, at whichever stage, and a parent that succeeded through its children
// before it came to this stage. A permanent error ends the item as dead,
// without evidence; with any other the item goes back and is tried again.
type Committer interface {
	Commit(ctx context.Context, it *Item, outcome Outcome) error
}

// Orderer is implemented by stages that must see items in the order of their
// claim (a JSON Lines file that keeps the input's order).
type Orderer interface {
	Ordered() bool
}

// Source is the stage that items come from and go back to. All methods may be
// called at the same time.
type Source interface {
	// Claim leases at most max items, fewer if fewer are ready, and none
	// (nil, nil) if none is. It does not wait for items. io.EOF means that
	// there will never be another one.
	// An item that may not run any more comes with Condemned set: a source ends
	// nothing by itself.
	Claim(ctx context.Context, max int) ([]*Item, error)
	// Ack ends an item under its fencing token: state, result digest and
	// outcome in one conditional write, durable when it returns. A stale token
	// is ErrLeaseLost.
	Ack(ctx context.Context, it *Item, o Outcome) error
	// Nack gives an item back under its fencing token. A stale token is
	// ErrLeaseLost.
	Nack(ctx context.Context, it *Item, r Release) error
	// Renew extends the leases of these items and returns those that are lost.
	// The engine calls it every third of Lease.
	Renew(ctx context.Context, items []*Item) (lost []*Item, err error)
	// Lease returns how long a claim lasts without renewal; 0 means that
	// claims do not expire.
	Lease() time.Duration
	// Pending returns how many items are not at their end (ready, delayed or
	// leased, by anybody), and when the next delayed one is ready (zero if
	// none is delayed).
	Pending(ctx context.Context) (n int64, next time.Time, err error)
}

// Result is how an item ended.
type Result string

const (
	Succeeded Result = "succeeded"
	Skipped   Result = "skipped"
	Dropped   Result = "dropped" // failed under on_error: drop
	Dead      Result = "dead"    // failed for good, kept in the dead letters
)

// Outcome is the end of an item.
type Outcome struct {
	Result Result
	// Digest is the result's digest: that of the receipt's statement if there
	// is one, else of the body's stored output, else empty.
	Digest Digest
	// Cause is why the item failed or was skipped.
	Cause error
}

// Release is how an item goes back to its queue.
type Release struct {
	// After is the wait before it is ready again.
	After time.Duration
	// Refund gives the attempt back: the item is not to blame.
	Refund bool
	// Cause is kept in the item's history.
	Cause error
}

// Distributor spreads claimed items over lanes. A pipeline has at most one, as
// its second stage. Carriers are bound to lanes and pull: a carrier takes the
// next item of its own lane, preferring a key that it handled last, and if its
// lanes are empty the oldest item of the longest lane.
type Distributor interface {
	// Lanes returns the number of lanes, at least 1.
	Lanes() int
	// Place assigns a claimed item to a lane. load[i] counts the items that
	// wait or run in lane i. An error fails the item.
	Place(it *Item, load []int) (Placement, error)
	// ByPriority makes carriers take the highest priority of a lane first,
	// and every 8th time the oldest, so that nothing starves.
	ByPriority() bool
}

// Placement is a lane, and the key that must not run twice at a time there
// (empty: no such limit).
type Placement struct {
	Lane int
	Key  string
}
