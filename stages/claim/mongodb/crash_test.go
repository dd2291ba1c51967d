package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// diary is what a process was told before it died.
type diary struct {
	enqueued, acked []string
	claimed         map[string]int64 // item to token
}

// work does everything that a queue can do, until the first error.
func work(ctx context.Context, q pipeline.Queue) (d diary, err error) {
	d.claimed = map[string]int64{}
	enqueue := func(items ...pipeline.NewItem) {
		if err != nil {
			return
		}
		var got []pipeline.Enqueued
		if got, err = q.Enqueue(ctx, items); err == nil {
			for _, e := range got {
				d.enqueued = append(d.enqueued, e.ID)
			}
		}
	}
	claim := func(n int) (items []*pipeline.Item) {
		if err == nil {
			items, err = q.Claim(ctx, n)
		}
		for _, it := range items {
			d.claimed[it.ID] = it.Token
		}
		if err == nil && len(items) == 0 {
			err = fmt.Errorf("nothing to claim of %d", n)
		}
		return items
	}
	end := func(it *pipeline.Item, r pipeline.Result) {
		if err == nil {
			if err = q.Ack(ctx, it, pipeline.Outcome{Result: r}); err == nil && r == pipeline.Succeeded {
				d.acked = append(d.acked, it.ID)
			}
		}
	}
	enqueue(pipeline.NewItem{ID: "a1", Key: "a"}, pipeline.NewItem{ID: "a2", Key: "a", IdempotencyKey: "x"}, pipeline.NewItem{ID: "b1", Key: "b"}, pipeline.NewItem{ID: "c"})
	enqueue(pipeline.NewItem{ID: "a3", Key: "a", Priority: 9})
	for _, it := range claim(3) { // a1, b1, c
		end(it, pipeline.Dead)
	}
	for _, it := range claim(1) { // a2
		if err == nil {
			err = q.Nack(ctx, it, pipeline.Release{})
		}
	}
	if err == nil {
		_, err = q.Retry(ctx, pipeline.Filter{IDs: []string{"a1", "c"}})
	}
	for _, it := range claim(2) { // a1, c
		end(it, pipeline.Succeeded)
	}
	if err == nil {
		_, err = q.Drop(ctx, pipeline.Filter{IDs: []string{"a2", "b1"}})
	}
	for _, it := range claim(1) { // a3
		if err == nil {
			_, err = q.Renew(ctx, []*pipeline.Item{it})
		}
		end(it, pipeline.Succeeded)
	}
	return d, err
}

// faulted opens a queue of its own with a connection that can fail.
func faulted(url, name string, now func() time.Time) (*mongodb.Queue, *wire, error) {
	w := &wire{}
	q, err := open(mongodb.Driver(mongodb.WithClock(now), mongodb.WithDialer(w)), url, pipeline.QueueOptions{Queue: name, Create: true, Owner: name})
	return q, w, err
}

// undisturbed does the work once and returns what is there then, and how many
// writes it took.
func undisturbed(t *testing.T, url string) (writes int, end []pipeline.Entry) {
	t.Helper()
	q, w, err := faulted(url, "undisturbed", still)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	mongodb.NoReaper(q) // it would write at its own times
	w.arm(0, false)
	if _, err = work(t.Context(), q); err == nil {
		end, err = q.List(t.Context(), pipeline.Filter{})
	}
	if err != nil || w.writes() < 20 {
		t.Fatalf("%d writes, error %v: the test does not see them", w.writes(), err)
	}
	return w.writes(), end
}

func still() time.Time { return time.Unix(1_800_000_000, 0) }

// TestDeathBeforeEveryWrite kills a process before its first, second, third
// write, and so on. Whatever it left half-way, the others go on: nothing is
// lost, half-enqueued, done twice, out of order or stuck.
func TestDeathBeforeEveryWrite(t *testing.T) {
	t.Parallel()
	url := emptyStore(t)
	total, _ := undisturbed(t, url)
	var wg sync.WaitGroup
	opening := make(chan struct{}, 4)
	for at := range total {
		wg.Go(func() {
			if err := die(t, url, at+1, opening); err != nil {
				t.Errorf("write %d: %v", at+1, err)
			}
		})
	}
	wg.Wait()
}

// die does so before one write. Few open at a time: opening takes no longer than the
// dead look for a server, which is short, and a crowd on a busy machine does.
func die(t *testing.T, url string, at int, opening chan struct{}) error {
	name := fmt.Sprint("death", at)
	victim, w, err := openOneOf(opening, withOptions(url, "serverSelectionTimeoutMS=1000"), name)
	if err != nil {
		return err
	}
	w.arm(at, true)
	told, err := work(t.Context(), victim)
	if err == nil && w.writes() < at {
		return errors.New("the process did not die")
	}
	_ = victim.Close()

	later := func() time.Time { return still().Add(time.Hour) }
	survivor, err := open(mongodb.Driver(mongodb.WithClock(later)), url, pipeline.QueueOptions{Queue: name, Owner: "survivor"})
	if err != nil {
		return err
	}
	defer survivor.Close()
	if _, err := survivor.Reap(t.Context()); err != nil {
		return err
	}
	if left := mongodb.Leftovers(t, url, name); left != 0 {
		return fmt.Errorf("%d documents are still half-way", left)
	}
	return inherit(t.Context(), survivor, told)
}

// openOneOf opens when it is its turn, and again if that took too long: nothing
// counts yet.
func openOneOf(opening chan struct{}, url, name string) (q *mongodb.Queue, w *wire, err error) {
	opening <- struct{}{}
	defer func() { <-opening }()
	for range 30 {
		if q, w, err = faulted(url, name, still); pipeline.KindOf(err) != pipeline.Unavailable {
			break
		}
	}
	return q, w, err
}

// inherit checks what a dead process has left, and works it off.
func inherit(ctx context.Context, q *mongodb.Queue, told diary) error {
	entries, err := q.List(ctx, pipeline.Filter{})
	if err != nil {
		return err
	}
	there := map[string]pipeline.ItemState{}
	for _, e := range entries {
		there[e.ID] = e.State
		if e.State == pipeline.StateLeased {
			return fmt.Errorf("%s is still leased", e.ID)
		}
	}
	for _, id := range told.acked {
		if there[id] != pipeline.StateDone {
			return fmt.Errorf("%s was acknowledged and is %q", id, there[id])
		}
	}
	batch := 0
	for _, id := range []string{"a1", "a2", "b1", "c"} {
		if there[id] != "" {
			batch++
		}
	}
	// The drop at the end takes up to two of them away.
	if len(told.enqueued) == 0 && batch != 0 && batch != 4 || len(told.enqueued) > 0 && batch < 2 {
		return fmt.Errorf("%d of the 4 items of a batch are there", batch)
	}
	if err := workOff(ctx, q, told); err != nil {
		return err
	}
	s, err := q.Stats(ctx)
	if err == nil && (s.Ready+s.Leased != 0 || s.Enqueued != int64(len(entries))) {
		err = fmt.Errorf("at the end %+v of %d: something is stuck", s, len(entries))
	}
	return err
}

// workOff ends everything that can be claimed.
func workOff(ctx context.Context, q *mongodb.Queue, told diary) error {
	var order []string
	for {
		items, err := q.Claim(ctx, 1)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			break
		}
		it := items[0]
		if slices.Contains(told.acked, it.ID) {
			return fmt.Errorf("%s came back after its acknowledgement", it.ID)
		}
		if it.Token <= told.claimed[it.ID] {
			return fmt.Errorf("%s has the token %d after %d", it.ID, it.Token, told.claimed[it.ID])
		}
		if it.Key == "a" {
			order = append(order, it.ID)
		}
		if err := q.Ack(ctx, it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
			return err
		}
	}
	if !slices.IsSorted(order) {
		return fmt.Errorf("the key ran as %v", order)
	}
	return nil
}

// TestDropAfterDeath: a process gives an item back and dies before it passes
// the turn of its key on; then, before any reaper, the item is dropped.
func TestDropAfterDeath(t *testing.T) {
	t.Parallel()
	url := emptyStore(t)
	victim, w, err := faulted(withOptions(url, "serverSelectionTimeoutMS=2000"), "q", still)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a", Key: "k"}, {ID: "b", Key: "k"}}); err != nil {
		t.Fatal(err)
	}
	mongodb.NoReaper(victim) // it would write, too
	it := claimOne(t, victim, 1)
	w.arm(2, true)
	if err := victim.Nack(t.Context(), it, pipeline.Release{}); err != nil {
		t.Fatal(err) // the item was given back: that much is written
	}
	_ = victim.Close()
	q := mustOpen(t, url, pipeline.QueueOptions{Queue: "q"}, mongodb.WithClock(still))
	if n, err := q.Drop(t.Context(), pipeline.Filter{IDs: []string{"a"}}); n != 1 || err != nil {
		t.Fatalf("dropped %d, error %v", n, err)
	}
	if got := claimOne(t, q, 1); got.ID != "b" {
		t.Errorf("claimed %s", got.ID)
	}
}

// TestLostAnswers loses the answer to the first, second, third write, and so
// on. The process hears of nothing but its own operations, and all of them end
// as if nothing had happened.
func TestLostAnswers(t *testing.T) {
	url := emptyStore(t)
	total, want := undisturbed(t, url)
	var wg sync.WaitGroup
	for at := range total {
		wg.Go(func() {
			if err := mishear(t.Context(), url, at+1, want); err != nil {
				t.Errorf("write %d: %v", at+1, err)
			}
		})
	}
	wg.Wait()
}

func mishear(ctx context.Context, url string, at int, want []pipeline.Entry) error {
	q, w, err := faulted(url, fmt.Sprint("deaf", at), still)
	if err != nil {
		return err
	}
	defer q.Close()
	w.arm(at, false)
	if _, err := work(ctx, q); err != nil {
		return err
	}
	got, err := q.List(ctx, pipeline.Filter{})
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(pipeline.Entry{}, "Queue", "Owner", "Token")); d != "" {
		return fmt.Errorf("the lost answer made a difference (-want +got):\n%s", d)
	}
	return err
}
