package mongodb_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// retryable makes a queue with two items of a key of which the older is dead and the
// younger has the turn, or is leased.
func retryable(t *testing.T) (url string, q *mongodb.Queue) {
	t.Helper()
	url = emptyStore(t)
	q = mustOpen(t, url, pipeline.QueueOptions{Create: true})
	mongodb.NoReaper(q)
	enqueue(t, q, pipeline.NewItem{ID: "older", Key: "k"}, pipeline.NewItem{ID: "younger", Key: "k"})
	if err := q.Ack(t.Context(), claimOne(t, q, 1), pipeline.Outcome{Result: pipeline.Dead}); err != nil {
		t.Fatal(err)
	}
	return url, q
}

// operator opens the queue once more, over a wire.
func operator(t *testing.T, url string) (*mongodb.Queue, *wire) {
	t.Helper()
	w := &wire{}
	q := mustOpen(t, withOptions(url, "serverSelectionTimeoutMS=500"), pipeline.QueueOptions{}, mongodb.WithDialer(w))
	mongodb.NoReaper(q)
	return q, w
}

// inTurn claims, and fails if that gets the younger item although the older one is
// ready. It returns the item, or nil.
func inTurn(t *testing.T, q *mongodb.Queue) *pipeline.Item {
	t.Helper()
	e, err := q.Show(t.Context(), "older")
	if err != nil {
		t.Fatal(err)
	}
	items, err := q.Claim(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(items) == 0 {
		return nil
	}
	if items[0].ID == "younger" && e.State == pipeline.StateReady {
		t.Error("claimed the younger item while the older one was ready")
	}
	return items[0]
}

// workOut ends what is leased, and then everything, which must be in order.
func workOut(t *testing.T, url string, q *mongodb.Queue, held *pipeline.Item) {
	t.Helper()
	ended := func(it *pipeline.Item) {
		if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Error(err)
		}
	}
	if held != nil {
		ended(held)
	}
	for it := inTurn(t, q); it != nil; it = inTurn(t, q) {
		ended(it)
	}
	if s, err := q.Stats(t.Context()); s.Done != 2 || err != nil {
		t.Errorf("at the end %+v, error %v; want both done", s, err)
	}
	if n := mongodb.Leftovers(t, url, "default"); n != 0 {
		t.Errorf("%d documents are still half-way", n)
	}
}

// TestRetryKeepsTheTurn: whoever retries the older item of a key while the younger
// one could be claimed is disturbed by a claim before each of its writes, and killed
// before each. The younger never runs while the older is ready.
func TestRetryKeepsTheTurn(t *testing.T) {
	t.Parallel()
	const writes = 6 // recalled, overtaken, refused, taken from the younger, given, cleared
	for at := 1; at <= writes; at++ {
		t.Run(fmt.Sprint("claim before write ", at), func(t *testing.T) {
			url, q := retryable(t)
			who, w := operator(t, url)
			var held *pipeline.Item
			w.before(at, func() { held = inTurn(t, q) })
			if n, err := who.Retry(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
				t.Fatalf("retried %d, error %v", n, err)
			}
			if w.writes() < at {
				t.Fatalf("a retry has %d writes only", w.writes())
			}
			if e, err := q.Show(t.Context(), "older"); err != nil || e.State == pipeline.StateDead {
				t.Fatalf("retried, and still %s, error %v", e.State, err)
			}
			workOut(t, url, q, held)
		})
		t.Run(fmt.Sprint("killed before write ", at), func(t *testing.T) {
			url, q := retryable(t)
			who, w := operator(t, url)
			w.arm(at, true)
			_, err := who.Retry(t.Context(), pipeline.Filter{})
			if w.writes() < at {
				t.Fatalf("a retry has %d writes only", w.writes())
			}
			if e, showErr := q.Show(t.Context(), "older"); showErr != nil || err == nil && e.State == pipeline.StateDead {
				t.Errorf("retried without an error, and %s, error %v", e.State, showErr)
			}
			held := inTurn(t, q)
			if _, err := q.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
			if at == 1 { // nothing was written
				if n, err := q.Retry(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
					t.Fatalf("retried %d, error %v", n, err)
				}
			}
			workOut(t, url, q, held)
		})
	}
}

// TestRetryBehindALeasedOne: the younger item runs while the older one is retried,
// which is ready when the call returns, and next.
func TestRetryBehindALeasedOne(t *testing.T) {
	url, q := retryable(t)
	younger := claimOne(t, q, 1)
	if n, err := q.Retry(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
		t.Fatalf("retried %d, error %v", n, err)
	}
	if e, err := q.Show(t.Context(), "older"); err != nil || e.State != pipeline.StateReady {
		t.Fatalf("retried, and %s, error %v", e.State, err)
	}
	if it := inTurn(t, q); it != nil {
		t.Fatalf("claimed %s while the key's turn is out", it.ID)
	}
	if err := q.Nack(t.Context(), younger, pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
	workOut(t, url, q, nil)
}

// TestFrozenSettler: a process finds the younger item to be next, and stands still
// before it gives it the turn. Meanwhile the older one is retried, runs, and is given
// back by a process that dies before it passes the turn on.
func TestFrozenSettler(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	mongodb.NoReaper(q)
	enqueue(t, q, pipeline.NewItem{ID: "older", Key: "k"}, pipeline.NewItem{ID: "younger", Key: "k"})
	frozen, w := operator(t, url)
	mortal, m := operator(t, url)
	it := claimOne(t, frozen, 1)
	w.before(2, func() { // the end is written, the turn is not yet given
		if n, err := q.Retry(t.Context(), pipeline.Filter{}); n != 1 || err != nil {
			t.Errorf("retried %d, error %v", n, err)
		}
		older := claimOne(t, mortal, 1)
		m.arm(2, true)
		if err := mortal.Nack(t.Context(), older, pipeline.Release{}); older.ID != "older" || err != nil {
			t.Errorf("gave back %s, error %v", older.ID, err)
		}
	})
	if err := frozen.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Dead}); err != nil && !errors.Is(err, pipeline.ErrLeaseLost) {
		t.Fatal(err)
	}
	held := inTurn(t, q)
	if _, err := q.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	workOut(t, url, q, held)
}

// TestRetryOfManyKeys: what is retried together is ready together, whatever else of
// its key there is.
func TestRetryOfManyKeys(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	mongodb.SetPage(q, 7)
	mongodb.NoReaper(q)
	var items []pipeline.NewItem
	for i := range 30 {
		items = append(items, pipeline.NewItem{ID: fmt.Sprintf("%02d", i), Key: fmt.Sprint(i % 6)})
	}
	enqueue(t, q, items...)
	for range 18 { // three of the five of each key
		if err := q.Ack(t.Context(), claimOne(t, q, 1), pipeline.Outcome{Result: pipeline.Dead}); err != nil {
			t.Fatal(err)
		}
	}
	held := claimOne(t, q, 1) // "18", of the key 0
	if n, err := q.Retry(t.Context(), pipeline.Filter{}); n != 18 || err != nil {
		t.Fatalf("retried %d, error %v", n, err)
	}
	if s, err := q.Stats(t.Context()); s.Dead != 0 || s.Ready != 29 || err != nil {
		t.Fatalf("after the retry %+v, error %v", s, err)
	}
	if err := q.Nack(t.Context(), held, pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		it := claimOne(t, q, 1)
		if want := fmt.Sprintf("%02d", i); it.ID != want {
			t.Fatalf("claimed %s, want %s", it.ID, want)
		}
		if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			t.Fatal(err)
		}
	}
}
