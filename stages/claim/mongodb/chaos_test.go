package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// ledger is what the workers of the chaos did and were told.
type ledger struct {
	mu     sync.Mutex
	tokens map[string]bool // item and token of all claims
	trying map[string]bool // to end it
	ended  map[string]int
	// doubted are items whose worker died before its acknowledgement was
	// answered: it may have been written.
	doubted map[string]bool
}

// claimed checks a claim: a token that the item never had, and every older item
// of the key at its end or about to be. It may be told late, of a lease that is
// lost by then, so that tokens do not come in their order.
func (l *ledger) claimed(it *pipeline.Item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	claim := fmt.Sprint(it.ID, " ", it.Token)
	if l.tokens[claim] {
		return fmt.Errorf("%s came twice with the token %d", it.ID, it.Token)
	}
	l.tokens[claim] = true
	var n int
	if _, err := fmt.Sscanf(it.ID, it.Key+"-%d", &n); err != nil {
		return err
	}
	for older := range n {
		if id := itemID(it.Key, older); !l.trying[id] {
			return fmt.Errorf("%s was claimed before %s", it.ID, id)
		}
	}
	return nil
}

func itemID(key string, n int) string { return fmt.Sprintf("%s-%02d", key, n) }

func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// TestChaos lets four workers die again and again, each at a write drawn by
// lot, while the others go on and real reapers take back what the dead held. In
// the end each item has ended exactly once, and each key in its order.
func TestChaos(t *testing.T) {
	const keys, each = 5, 8
	url := emptyStore(t)
	o := pipeline.QueueOptions{Create: true, Lease: 300 * time.Millisecond}
	q := mustOpen(t, url, o)
	for i := range each {
		var items []pipeline.NewItem
		for k := range keys {
			items = append(items, pipeline.NewItem{ID: itemID(fmt.Sprint(k), i), Key: fmt.Sprint(k), Priority: rand.IntN(10)})
		}
		if _, err := q.Enqueue(t.Context(), items); err != nil {
			t.Fatal(err)
		}
	}
	l := &ledger{tokens: map[string]bool{}, trying: map[string]bool{}, ended: map[string]int{}, doubted: map[string]bool{}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for over := false; !over; {
				var err error
				if over, err = life(t.Context(), url, o, l); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for id, n := range l.ended {
		if n != 1 {
			t.Errorf("%s was ended %d times", id, n)
		}
	}
	for id := range l.doubted {
		l.ended[id] = 1
	}
	if s, err := q.Stats(t.Context()); s.Done != keys*each || len(l.ended) != keys*each || s.Enqueued != s.Done || err != nil {
		t.Errorf("at the end %+v, %d acknowledged, error %v", s, len(l.ended), err)
	}
}

// life is that of one worker: until its death, or until nothing is left to do.
func life(ctx context.Context, url string, o pipeline.QueueOptions, l *ledger) (over bool, err error) {
	w := &wire{}
	q, err := open(mongodb.Driver(mongodb.WithDialer(w)), withOptions(url, "serverSelectionTimeoutMS=500"), o)
	if pipeline.CodeOf(err) == "queue-unreachable" {
		return false, nil // born dead: the machine is slow
	}
	if err != nil {
		return false, err
	}
	defer q.Close()
	w.arm(5+rand.IntN(100), true)
	for {
		n, _, err := q.Pending(ctx)
		if n == 0 && err == nil {
			return true, nil
		}
		items, err := q.Claim(ctx, 1+rand.IntN(3))
		for _, it := range items {
			if err := l.claimed(it); err != nil {
				return false, err
			}
			if err := finish(ctx, q, it, l); err != nil && !errors.Is(err, pipeline.ErrLeaseLost) {
				return false, w.excuse(err)
			}
		}
		if err != nil {
			return false, w.excuse(err)
		}
	}
}

// finish ends an item or, one time in four, gives it back.
func finish(ctx context.Context, q *mongodb.Queue, it *pipeline.Item, l *ledger) error {
	if rand.IntN(4) == 0 {
		return q.Nack(ctx, it, pipeline.Release{Refund: rand.IntN(2) == 0})
	}
	l.note(func() { l.trying[it.ID] = true })
	err := q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded})
	switch {
	case err == nil:
		l.note(func() { l.ended[it.ID]++ })
	case !errors.Is(err, pipeline.ErrLeaseLost):
		l.note(func() { l.doubted[it.ID] = true })
	}
	return err
}

// excuse forgives the errors of the dead.
func (w *wire) excuse(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil
	}
	return err
}
