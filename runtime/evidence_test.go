package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// notary is a stage that keeps evidence, as witness does: each receipt that it
// gives stands in its book.
type notary struct {
	mu      sync.Mutex
	book    map[string][]pipeline.Result
	items   map[string]pipeline.Item
	refuse  func(it *pipeline.Item) error
	commits int
}

func newNotary() *notary {
	return &notary{book: map[string][]pipeline.Result{}, items: map[string]pipeline.Item{}}
}

func (n *notary) Process(_ context.Context, it *pipeline.Item) error {
	return n.record(it, pipeline.Succeeded)
}

func (n *notary) Commit(_ context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	n.mu.Lock()
	n.commits++
	n.mu.Unlock()
	if n.refuse != nil {
		if err := n.refuse(it); err != nil {
			return err
		}
	}
	return n.record(it, o.Result)
}

func (n *notary) record(it *pipeline.Item, r pipeline.Result) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.book[it.ID] = append(n.book[it.ID], r)
	it.Receipt = pipeline.DigestOf([]byte(it.ID + string(r)))
	n.items[it.ID] = *it
	return nil
}

// TestEveryEndHasOneReceipt: whichever way an item ends, and whether it is
// claimed or a child, one receipt says how, and the queue hears of it.
func TestEveryEndHasOneReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 0)
		for _, id := range []string{"good", "skipped", "dead", "dropped", "family", "nested", "sad"} {
			q.add(pipeline.Item{ID: id})
		}
		n := newNotary()
		judge := func(_ context.Context, it *pipeline.Item) error {
			switch {
			case strings.HasSuffix(it.ID, "skipped"):
				return pipeline.SkipItem("not wanted")
			case strings.HasSuffix(it.ID, "dead"):
				return pipeline.Fail("bad", "bad")
			}
			return nil
		}
		s := run(t, plan(3, source(q),
			stage("drop", func(_ context.Context, it *pipeline.Item) error {
				if it.ID == "dropped" {
					return pipeline.Fail("bad", "bad")
				}
				return nil
			}, onError(pipeline.OnErrorDrop)),
			stage("split", func(_ context.Context, it *pipeline.Item) error {
				switch it.ID {
				case "family":
					it.Emit(&pipeline.Item{ID: "family/good"})
					it.Emit(&pipeline.Item{ID: "family/skipped"})
				case "nested":
					it.Emit(&pipeline.Item{ID: "nested/1"})
				case "sad":
					it.Emit(&pipeline.Item{ID: "sad/dead"})
				}
				return nil
			}),
			stage("again", func(_ context.Context, it *pipeline.Item) error {
				if it.ID == "nested/1" {
					it.Emit(&pipeline.Item{ID: "nested/1/1"})
				}
				return nil
			}),
			stage("judge", judge), with("notary", n), stage("after", nop)))
		want := map[string][]pipeline.Result{
			"good": {"succeeded"}, "skipped": {"skipped"}, "dead": {"dead"}, "dropped": {"dropped"},
			"family": {"succeeded"}, "family/good": {"succeeded"}, "family/skipped": {"skipped"},
			"nested": {"succeeded"}, "nested/1": {"succeeded"}, "nested/1/1": {"succeeded"},
			"sad": {"dead"}, "sad/dead": {"dead"},
		}
		if diff := cmp.Diff(want, n.book); diff != "" {
			t.Errorf("receipts (-want +got):\n%s", diff)
		}
		for _, r := range q.rows {
			if got := r.outcome.Digest; got != pipeline.DigestOf([]byte(r.item.ID+string(r.outcome.Result))) {
				t.Errorf("%s was acknowledged as %s without its receipt", r.item.ID, r.outcome.Result)
			}
		}
		if s.Unwitnessed != 0 || s.Total != 7 {
			t.Errorf("stats %+v", s)
		}
		checkChildren(t, n)
	})
}

// checkChildren checks that a parent's receipt speaks for those of its children,
// in the order in which they were emitted.
func checkChildren(t *testing.T, n *notary) {
	list := "family/good " + string(n.items["family/good"].Receipt) + "\nfamily/skipped " + string(n.items["family/skipped"].Receipt) + "\n"
	want := []pipeline.Dependency{{Name: "children", Digest: pipeline.DigestOf([]byte(list)), Annotations: map[string]string{"count": "2"}}}
	if diff := cmp.Diff(want, n.items["family"].Dependencies); diff != "" {
		t.Errorf("the parent's dependencies (-want +got):\n%s", diff)
	}
	if deps := n.items["family/good"].Dependencies; len(deps) > 0 {
		t.Errorf("a child depends on %v", deps)
	}
}

// TestSplitBehindTheWitness: what has its receipt already gets no second one.
func TestSplitBehindTheWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		n := newNotary()
		run(t, plan(1, source(q), with("notary", n), stage("split", emit(".a")), stage("last", nop)))
		if diff := cmp.Diff(map[string][]pipeline.Result{"i000": {"succeeded"}}, n.book); diff != "" {
			t.Errorf("receipts (-want +got):\n%s", diff)
		}
	})
}

func TestEndThatCannotBeWitnessed(t *testing.T) {
	never := func(*pipeline.Item) error { return pipeline.Fail("receipt-too-large", "no") }
	notNow := func(*pipeline.Item) error { return errors.New("disk full") }
	lost := func(*pipeline.Item) error { return pipeline.Again("witness", "%w", pipeline.ErrLeaseLost) }
	fails := func(context.Context, *pipeline.Item) error { return pipeline.Fail("bad", "bad") }
	skips := func(context.Context, *pipeline.Item) error { return pipeline.SkipItem("not wanted") }
	tests := []struct {
		name   string
		stage  fn
		policy pipeline.OnError
		refuse func(*pipeline.Item) error
		code   string // of the dead item; empty: not dead
		calls  int
	}{
		{"dead, never", fails, pipeline.OnErrorRetry, never, "bad", 1},
		{"dropped, never", fails, pipeline.OnErrorDrop, never, "bad", 1},
		{"skipped, never", skips, pipeline.OnErrorRetry, never, "receipt-too-large", 1},
		{"dead, not now", fails, pipeline.OnErrorRetry, notNow, "bad", 10},
		{"skipped, not now", skips, pipeline.OnErrorRetry, notNow, "error", 10},
		{"dead, lost", fails, pipeline.OnErrorRetry, lost, "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 1)
				n := newNotary()
				n.refuse = tt.refuse
				calls := 0
				p := plan(1, source(q), stage("expensive", func(ctx context.Context, it *pipeline.Item) error {
					calls++
					return tt.stage(ctx, it)
				}, onError(tt.policy)), with("notary", n))
				ctx, stop := context.WithTimeout(context.Background(), time.Hour)
				defer stop()
				s, err := runtime.Run(ctx, p, runtime.Options{UntilEmpty: true, Log: quiet()})
				r := q.row("i000")
				if calls > tt.calls {
					t.Errorf("it was worked on %d times, want %d at most", calls, tt.calls)
				}
				if tt.code == "" {
					if s.LeasesLost != 1 || s.Total != 0 || r.state != pipeline.StateLeased {
						t.Errorf("stats %+v, the item is %s", s, r.state)
					}
					return
				}
				if err != nil || s.Dead != 1 || s.Unwitnessed != 1 || r.state != pipeline.StateDead || pipeline.CodeOf(r.outcome.Cause) != tt.code {
					t.Errorf("stats %+v, error %v, the item is %s (%v)", s, err, r.state, r.outcome.Cause)
				}
				var table strings.Builder
				if err := s.WriteTable(&table); err != nil || !strings.Contains(table.String(), "1 items ended without a receipt") {
					t.Errorf("table (%v):\n%s", err, table.String())
				}
				if b, err := json.Marshal(s); err != nil || !strings.Contains(string(b), `"unwitnessed":1`) {
					t.Errorf("JSON %s (%v)", b, err)
				}
			})
		})
	}
}

// TestHiccupOfTheWitnessRepeatsNoWork: the evidence is tried again before the
// work is.
func TestHiccupOfTheWitnessRepeatsNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		n := newNotary()
		n.refuse = func(*pipeline.Item) error {
			if n.commits < 3 {
				return errors.New("not just now")
			}
			return nil
		}
		calls := 0
		s := run(t, plan(1, source(q), stage("a", func(context.Context, *pipeline.Item) error {
			calls++
			return pipeline.Fail("bad", "bad")
		}), with("notary", n)))
		if calls != 1 || s.Dead != 1 || s.Unwitnessed != 0 || n.book["i000"] == nil {
			t.Errorf("%d calls, stats %+v", calls, s)
		}
	})
}

// TestCondemnedItemDies: a source may hand out an item to be buried: no stage
// sees it, whatever they do with failures, and it has its receipt.
func TestCondemnedItemDies(t *testing.T) {
	for _, policy := range []pipeline.OnError{pipeline.OnErrorRetry, pipeline.OnErrorDrop, pipeline.OnErrorStop} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 2)
			q.lease = 30 * time.Second
			q.rows[1].item.Condemned = &pipeline.Error{Kind: pipeline.Retry, Code: "attempts", Err: errors.New("its workers died")}
			q.rows[1].item.Deadline = time.Now().Add(-time.Hour)
			n := newNotary()
			var seen []string
			s := run(t, plan(2, source(q), stage("a", func(_ context.Context, it *pipeline.Item) error {
				seen = append(seen, it.ID)
				return nil
			}, onError(policy)), with("notary", n)))
			r := q.row("i001")
			var e *pipeline.Error
			if r.state != pipeline.StateDead || !errors.As(r.outcome.Cause, &e) || e.Code != "attempts" || e.Kind != pipeline.Permanent || e.Stage != "" {
				t.Errorf("it is %s: %#v", r.state, r.outcome.Cause)
			}
			if r.outcome.Digest != n.items["i001"].Receipt || r.outcome.Digest == "" {
				t.Error("it has no receipt")
			}
			if s.Dead != 1 || s.Successful != 1 || len(seen) != 1 || seen[0] != "i000" {
				t.Errorf("stats %+v, stages saw %v", s, seen)
			}
		})
	}
}

func TestStartedIsSetForTheReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		n := newNotary()
		began := time.Now()
		run(t, plan(1, source(q), stage("a", sleepy(time.Minute)), with("notary", n)))
		if got := n.items["i000"].Started; !got.Equal(began) {
			t.Errorf("the attempt began at %v, want %v", got, began)
		}
	})
}
