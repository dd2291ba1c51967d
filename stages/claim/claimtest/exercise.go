package claimtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Lease is the lease of the suite's queues, in the store's clock.
const Lease = 30 * time.Second

// Store is a place for queues, made for one test.
type Store struct {
	// Open opens a queue of the store; the same name again is the same queue.
	Open func(o pipeline.QueueOptions) (pipeline.Queue, error)
	// Advance moves the store's clock and takes back the leases of q that have
	// expired then, as the driver's reaper would in its own time.
	Advance func(t testing.TB, q pipeline.Queue, d time.Duration)
	// Location is what Main's reopen gets in the crash test's child process,
	// where the clock is the real one. Empty leaves that test out, for stores
	// that live in memory.
	Location string
	// Spoil makes the stored form of a ready item with meta unreadable for the
	// driver, behind its back. Nil: it cannot be done.
	Spoil func(t testing.TB, q pipeline.Queue, id string)
}

// Exercise checks that the queues of a driver keep the claim protocol. newStore
// makes an empty store whose clock stands still.
func Exercise(t *testing.T, newStore func(t testing.TB) Store) {
	tests := []struct {
		name string
		run  func(*bench)
	}{
		{"claim carries the item", carries},
		{"enqueue is all or nothing", allOrNothing},
		{"enqueue refuses bad items", refuses},
		{"enqueue of many", bulk},
		{"large bodies together", largeTogether},
		{"idempotency keys", idempotency},
		{"idempotency keys of the active", activeScope},
		{"idempotency keys after retry", retriedScope},
		{"idempotency keys end", keyTTL},
		{"claims are atomic", atomicClaims},
		{"priority, then age", priorityThenAge},
		{"low priorities do not starve", noStarvation},
		{"ageing takes the oldest", ageingOrder},
		{"age", age},
		{"not before its time", notBefore},
		{"a cancelled context claims nothing", cancelledClaim},
		{"leases expire", leasesExpire},
		{"renewal", renewal},
		{"stale writes fail", fencing},
		{"expired attempts are used up", attemptsUsedUp},
		{"giving back does not condemn", givenBackIsNotExpired},
		{"give back at the end", drain},
		{"deadlines", deadlines},
		{"results", results},
		{"acknowledging again", ackAgain},
		{"delayed retry", delayedRetry},
		{"refund", refund},
		{"history is bounded", boundedHistory},
		{"dead letters", deadLetters},
		{"one of a key at a time, in order", keyOrder},
		{"keys under load", keysUnderLoad},
		{"keys after retry and drop", keysAfterRepair},
		{"lanes", lanes},
		{"lanes that change hands", lanesShared},
		{"wakes", wakes},
		{"drop", drop},
		{"an id used again", idAgain},
		{"list", list},
		{"filters", filters},
		{"pause and resume", paused},
		{"cancel what is ready", cancelReady},
		{"cancel what is leased", cancelLeased},
		{"cancel in the order of a key", cancelKeyed},
		{"cancel by filters", cancelFilters},
		{"cancelled before late", cancelFirst},
		{"move", moved},
		{"move to the end", movedToTheEnd},
		{"move is all or nothing", notMoved},
		{"export and import", func(b *bench) { carry(b, newStore) }},
		{"import of foreign entries", foreignEntries},
		{"import is all or nothing", badEntries},
		{"export of many", exportPages},
		{"compact", compacts},
		{"records", recordWrites},
		{"records end", recordTTL},
		{"names of records", recordNames},
		{"records are written by one", recordRaces},
		{"records reopened", recordsReopened},
		{"a worker whose clock is wrong", skewed},
		{"a spoilt item", spoilt},
		{"queues are apart", queuesApart},
		{"absent queue", absentQueue},
		{"reopen", reopened},
		{"random operations", model},
		{"kill -9", crash},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := &bench{T: t, store: newStore(t)}
			b.q = b.open(pipeline.QueueOptions{})
			tc.run(b)
		})
	}
}

// bench is one test with its store and default queue.
type bench struct {
	*testing.T
	store Store
	q     pipeline.Queue
}

// open opens a queue that is made if it is missing.
func (b *bench) open(o pipeline.QueueOptions) pipeline.Queue {
	b.Helper()
	o.Create = true
	if o.Lease == 0 {
		o.Lease = Lease
	}
	if o.Owner == "" {
		o.Owner = "tester"
	}
	q, err := b.store.Open(o)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.Cleanup(func() { _ = q.Close() })
	return q
}

func (b *bench) advance(d time.Duration) {
	b.Helper()
	b.store.Advance(b, b.q, d)
}

// enqueue adds items and returns their ids.
func (b *bench) enqueue(items ...pipeline.NewItem) []string {
	b.Helper()
	got, err := b.q.Enqueue(b.Context(), items)
	if err != nil {
		b.Fatalf("enqueue: %v", err)
	}
	if len(got) != len(items) {
		b.Fatalf("enqueue of %d items returned %d", len(items), len(got))
	}
	ids := make([]string, len(got))
	for i := range got {
		ids[i] = got[i].ID
	}
	return ids
}

func (b *bench) claim(max int) []*pipeline.Item {
	b.Helper()
	items, err := b.q.Claim(b.Context(), max)
	if err != nil {
		b.Fatalf("claim: %v", err)
	}
	if len(items) > max {
		b.Fatalf("claim(%d) returned %d items", max, len(items))
	}
	return items
}

// one claims exactly one item.
func (b *bench) one() *pipeline.Item {
	b.Helper()
	items := b.claim(1)
	if len(items) != 1 {
		b.Fatal("nothing to claim, want an item")
	}
	return items[0]
}

func (b *bench) none() {
	b.Helper()
	if items := b.claim(1); len(items) != 0 {
		b.Fatalf("claimed %s, want nothing", items[0].ID)
	}
}

func (b *bench) ack(it *pipeline.Item, r pipeline.Result) {
	b.Helper()
	if err := b.q.Ack(b.Context(), it, pipeline.Outcome{Result: r}); err != nil {
		b.Fatalf("ack %s: %v", it.ID, err)
	}
}

func (b *bench) nack(it *pipeline.Item, r pipeline.Release) {
	b.Helper()
	if err := b.q.Nack(b.Context(), it, r); err != nil {
		b.Fatalf("nack %s: %v", it.ID, err)
	}
}

func (b *bench) show(id string) pipeline.Entry {
	b.Helper()
	e, err := b.q.Show(b.Context(), id)
	if err != nil {
		b.Fatalf("show %s: %v", id, err)
	}
	return e
}

// all lists every entry of the queue by its id.
func (b *bench) all() map[string]pipeline.Entry {
	b.Helper()
	entries, err := b.q.List(b.Context(), pipeline.Filter{Limit: 1 << 20})
	if err != nil {
		b.Fatalf("list: %v", err)
	}
	out := make(map[string]pipeline.Entry, len(entries))
	for _, e := range entries {
		out[e.ID] = e
	}
	return out
}

func (b *bench) state(id string, want pipeline.ItemState) pipeline.Entry {
	b.Helper()
	e := b.show(id)
	if e.State != want {
		b.Fatalf("%s is %s, want %s", id, e.State, want)
	}
	return e
}

// stats reads the statistics and checks that they add up.
func (b *bench) stats() pipeline.QueueStats {
	b.Helper()
	s, err := b.q.Stats(b.Context())
	if err == nil {
		err = adds(s)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func adds(s pipeline.QueueStats) error {
	if s.Enqueued != s.Ready+s.Leased+s.Done+s.Dead || s.Delayed > s.Ready {
		return fmt.Errorf("stats do not add up: %+v", s)
	}
	return nil
}

// wantStats compares all but the age.
func (b *bench) wantStats(want pipeline.QueueStats) {
	b.Helper()
	got := b.stats()
	if got.AgeSeconds = want.AgeSeconds; got != want {
		b.Fatalf("stats are %+v, want %+v", got, want)
	}
}

func (b *bench) wantLost(what string, err error) {
	b.Helper()
	if !errors.Is(err, pipeline.ErrLeaseLost) {
		b.Fatalf("%s: error %v, want ErrLeaseLost", what, err)
	}
}

// whats returns the kinds of an entry's events.
func whats(e pipeline.Entry) []string {
	out := make([]string, len(e.History))
	for i := range e.History {
		out[i] = e.History[i].What
	}
	return out
}

func ids(items []*pipeline.Item) []string {
	out := make([]string, len(items))
	for i := range items {
		out[i] = items[i].ID
	}
	return out
}

// numbered makes n items named prefix0 to prefix(n-1).
func numbered(prefix string, n int, like pipeline.NewItem) []pipeline.NewItem {
	out := make([]pipeline.NewItem, n)
	for i := range out {
		out[i] = like
		out[i].ID = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// workers runs f in n goroutines and returns their first error.
func workers(ctx context.Context, n int, f func(ctx context.Context, w int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			if err := f(ctx, w); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
