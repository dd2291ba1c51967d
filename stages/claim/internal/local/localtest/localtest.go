// Package localtest is the suite that every source of one process runs: what of
// the claim protocol means anything without a store behind it. The suite of
// queues is claimtest.
package localtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Open makes a source that has at least one item within a minute, in virtual
// time, and opens it anew in the same folder when it is called again.
type Open func(t *testing.T, dir string) pipeline.Source

// Exercise runs the suite. Each test is in a bubble of its own, so that time is
// virtual.
func Exercise(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, pipeline.Source){
		"ends once": endsOnce, "fencing": fencing, "delay": delay, "refund": refund, "cancelled": cancelled, "closed": closed, "pending": pending,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, dir)
				defer func() {
					if err := Close(s); err != nil {
						t.Errorf("close: %v", err)
					}
				}()
				if s.Lease() != 0 {
					t.Errorf("Lease() = %v: claims of one process do not expire", s.Lease())
				}
				test(t, s)
			})
		})
	}
}

// Close closes a source.
func Close(s pipeline.Source) error { return s.(pipeline.Closer).Close() }

// Claim waits, in virtual time, until there are items.
func Claim(t *testing.T, s pipeline.Source, most int) []*pipeline.Item {
	t.Helper()
	for range 1200 {
		items, err := s.Claim(t.Context(), most)
		if err != nil || len(items) > most {
			t.Fatalf("claimed %d of at most %d, error %v", len(items), most, err)
		}
		if len(items) > 0 {
			return items
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
	}
	t.Fatal("no item within a minute")
	return nil
}

// None checks that nothing comes for some time.
func None(t *testing.T, s pipeline.Source, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if items, err := s.Claim(t.Context(), 1); len(items) > 0 {
			t.Fatalf("claimed %s (error %v), want nothing for %v", items[0].ID, err, d)
		}
	}
}

// End acknowledges an item.
func End(t *testing.T, s pipeline.Source, it *pipeline.Item, r pipeline.Result) {
	t.Helper()
	o := pipeline.Outcome{Result: r}
	if r == pipeline.Dead {
		o.Cause = errors.New("cause of death")
	}
	if err := s.Ack(t.Context(), it, o); err != nil {
		t.Fatalf("ack %s: %v", it.ID, err)
	}
}

func endsOnce(t *testing.T, s pipeline.Source) {
	it := Claim(t, s, 1)[0]
	if it.ID == "" || it.Attempt != 1 || it.Token == 0 || it.Condemned != nil {
		t.Errorf("claimed %+v", it)
	}
	End(t, s, it, pipeline.Succeeded)
	End(t, s, it, pipeline.Succeeded) // the same acknowledgement again
	lost(t, "another ack", s.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Dropped}))
	lost(t, "a nack", s.Nack(t.Context(), it, pipeline.Release{}))
}

func fencing(t *testing.T, s pipeline.Source) {
	old := Claim(t, s, 1)[0]
	if err := s.Nack(t.Context(), old, pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
	again := Claim(t, s, 1)[0]
	if again.ID != old.ID || again.Token <= old.Token || again.Attempt != 2 {
		t.Errorf("after %s with token %d: %s with token %d, attempt %d", old.ID, old.Token, again.ID, again.Token, again.Attempt)
	}
	lost(t, "a stale ack", s.Ack(t.Context(), old, pipeline.Outcome{Result: pipeline.Succeeded}))
	lost(t, "a stale nack", s.Nack(t.Context(), old, pipeline.Release{}))
	gone, err := s.Renew(t.Context(), []*pipeline.Item{old, again})
	if err != nil || !slices.Equal(gone, []*pipeline.Item{old}) {
		t.Errorf("renew lost %d, error %v; want the stale one", len(gone), err)
	}
	End(t, s, again, pipeline.Succeeded)
}

func delay(t *testing.T, s pipeline.Source) {
	it := Claim(t, s, 1)[0]
	began := time.Now()
	if err := s.Nack(t.Context(), it, pipeline.Release{After: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if _, next, err := s.Pending(t.Context()); next.After(began.Add(10*time.Second)) || next.IsZero() || err != nil {
		t.Errorf("pending: next %v, error %v; want to be back in 10s", next, err)
	}
	for again := it; ; again = Claim(t, s, 1)[0] {
		if again.ID == it.ID && again != it {
			if time.Since(began) < 10*time.Second {
				t.Errorf("claimed after %v, want 10s", time.Since(began))
			}
			End(t, s, again, pipeline.Succeeded)
			return
		}
		if again != it {
			End(t, s, again, pipeline.Succeeded)
		}
	}
}

func refund(t *testing.T, s pipeline.Source) {
	it := Claim(t, s, 1)[0]
	if err := s.Nack(t.Context(), it, pipeline.Release{Refund: true}); err != nil {
		t.Fatal(err)
	}
	again := Claim(t, s, 1)[0]
	if again.ID != it.ID || again.Attempt != 1 {
		t.Errorf("claimed %s, attempt %d; want %s, attempt 1", again.ID, again.Attempt, it.ID)
	}
	End(t, s, again, pipeline.Dead)
}

func cancelled(t *testing.T, s pipeline.Source) {
	it := Claim(t, s, 1)[0]
	if err := s.Nack(t.Context(), it, pipeline.Release{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if items, err := s.Claim(ctx, 1); len(items) > 0 || err == nil {
		t.Errorf("claimed %d with a context that has ended, error %v", len(items), err)
	}
	if items, err := s.Claim(t.Context(), 0); len(items) > 0 || err != nil {
		t.Errorf("claimed %d of none, error %v", len(items), err)
	}
}

func closed(t *testing.T, s pipeline.Source) {
	Claim(t, s, 1)
	for range 2 {
		if err := Close(s); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if items, err := s.Claim(t.Context(), 1); len(items) > 0 || err == nil {
		t.Errorf("a closed source handed out %d items, error %v", len(items), err)
	}
	if _, _, err := s.Pending(t.Context()); err != nil {
		t.Errorf("pending of a closed source: %v", err)
	}
}

func pending(t *testing.T, s pipeline.Source) {
	it := Claim(t, s, 1)[0]
	if n, _, err := s.Pending(t.Context()); n < 1 || err != nil {
		t.Errorf("pending %d, error %v; want what is held", n, err)
	}
	End(t, s, it, pipeline.Succeeded)
}

func lost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, pipeline.ErrLeaseLost) {
		t.Errorf("%s: error %v, want ErrLeaseLost", what, err)
	}
}
