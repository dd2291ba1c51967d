package mongodb_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

func mustOpen(t *testing.T, url string, o pipeline.QueueOptions, opts ...mongodb.Option) *mongodb.Queue {
	t.Helper()
	q, err := open(mongodb.Driver(opts...), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestServerClock: times are the server's, whatever this machine's clock shows.
func TestServerClock(t *testing.T) {
	q := mustOpen(t, "mongodb://"+serve(t, "-skew", "-5h")+"/jobs", pipeline.QueueOptions{Create: true})
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	if items, err := q.Claim(t.Context(), 1); len(items) != 1 || err != nil {
		t.Fatalf("claimed %d, error %v", len(items), err)
	}
	e, err := q.Show(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := time.Now().Add(-5 * time.Hour)
	if e.Enqueued.Sub(want).Abs() > time.Minute || e.LeaseUntil.Sub(want.Add(q.Lease())).Abs() > time.Minute {
		t.Errorf("enqueued %v, leased until %v; the server has %v", e.Enqueued, e.LeaseUntil, want)
	}
}

// TestReaperTakesBack: by itself, on the server's clock.
func TestReaperTakesBack(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true, Lease: 50 * time.Millisecond})
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a", Key: "k"}}); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 2; {
		items, err := q.Claim(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 {
			continue // it is leased to nobody alive; the test's deadline bounds the wait
		}
		if items[0].Attempt != attempt {
			t.Fatalf("attempt %d, want %d", items[0].Attempt, attempt)
		}
		attempt++
	}
}

// TestPasswordStaysSecret: the server knows no users, so the log-in fails.
func TestPasswordStaysSecret(t *testing.T) {
	const password = "correct-horse"
	host := serve(t)
	for _, url := range []string{
		"mongodb://me:" + password + "@" + host + "/jobs?serverSelectionTimeoutMS=300",
		"mongodb://me:" + password + "@" + host + "/jobs?authMechanism=NONSENSE",
		"mongodb://me:" + password + "%zz@" + host + "/jobs",
		"mongodb://me:" + password + "@127.0.0.1:1/jobs?serverSelectionTimeoutMS=20",
	} {
		var log strings.Builder
		q, err := open(mongodb.Driver(), url, pipeline.QueueOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			_ = q.Close()
			t.Errorf("%s: opened", url)
			continue
		}
		if strings.Contains(err.Error()+log.String(), password) {
			t.Errorf("the error or the log shows the password: %v\n%s", err, log.String())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	url := emptyStore(t)
	for want, o := range map[string]pipeline.QueueOptions{
		"bad-option": {Create: true, Format: "csv"},
		"no-queue":   {Queue: "absent"},
	} {
		if q, err := open(mongodb.Driver(), url, o); pipeline.CodeOf(err) != want {
			t.Errorf("error %v, want %s", err, want)
			if q != nil {
				_ = q.Close()
			}
		}
	}
}

// TestUnreachable: the error comes before the driver's own 30 s, says where nobody answers and
// why, and is one that passes.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	q, err := open(mongodb.Driver(), "mongodb://127.0.0.1:1/jobs", pipeline.QueueOptions{})
	if err == nil {
		_ = q.Close()
	}
	if pipeline.CodeOf(err) != "queue-unreachable" || pipeline.KindOf(err) != pipeline.Unavailable {
		t.Fatalf("error %v, want queue-unreachable", err)
	}
	for _, want := range []string{"127.0.0.1:1", "5s", "refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// TestSpread: claims that spread over lanes give up the order over all of them,
// and nothing else.
func TestSpread(t *testing.T) {
	url := emptyStore(t)
	q := mustOpen(t, withOptions(url, "waybill.lanes=8"), pipeline.QueueOptions{Create: true})
	var items []pipeline.NewItem
	for i := range 40 {
		key := ""
		if i%2 == 0 {
			key = string(rune('a' + i%5))
		}
		items = append(items, pipeline.NewItem{Key: key, Priority: i % 10})
	}
	if _, err := q.Enqueue(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	done := 0
	for n := 1; ; n = n%7 + 1 {
		got, err := q.Claim(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		running := map[string]bool{}
		for _, it := range got {
			if it.Key != "" && running[it.Key] {
				t.Errorf("two of key %s in one claim", it.Key)
			}
			running[it.Key] = true
			if err := q.Ack(t.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}); err != nil {
				t.Fatal(err)
			}
			done++
		}
	}
	if done != len(items) {
		t.Errorf("%d of %d items were claimed", done, len(items))
	}
}

// TestPages: mass changes go page by page and keep to their limit.
func TestPages(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	mongodb.SetPage(q, 3)
	if _, err := q.Enqueue(t.Context(), make([]pipeline.NewItem, 11)); err != nil {
		t.Fatal(err)
	}
	left := int64(11)
	for _, step := range []struct{ limit, want int }{{2, 2}, {3, 3}, {4, 4}, {0, 2}, {0, 0}} {
		n, err := q.Drop(t.Context(), pipeline.Filter{Limit: step.limit})
		if n != step.want || err != nil {
			t.Errorf("drop of %d: %d, error %v; want %d", step.limit, n, err, step.want)
		}
		left -= int64(step.want)
		if s, err := q.Stats(t.Context()); s.Ready != left || err != nil {
			t.Errorf("stats %+v, error %v; want %d left", s, err, left)
		}
	}
}

// TestMetaNames: names of meta are anybody's, those of fields are not.
func TestMetaNames(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	want := map[string]string{"a.b": "1", "$set": "2", "": "3", "plain": ""}
	if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "$x/y.z", Key: "$k.é", Meta: want}}); err != nil {
		t.Fatal(err)
	}
	items, err := q.Claim(t.Context(), 2)
	if err != nil || len(items) != 1 || !maps.Equal(items[0].Meta, want) || items[0].ID != "$x/y.z" || items[0].Key != "$k.é" {
		t.Errorf("claimed %+v, error %v", items, err)
	}
}

// TestQueueNames: no two pairs of queue and item have one document.
func TestQueueNames(t *testing.T) {
	url := emptyStore(t)
	for queue, id := range map[string]string{"a": "b/c", "a/b": "c", "a%2Fb": "c"} {
		q := mustOpen(t, url, pipeline.QueueOptions{Create: true, Queue: queue})
		if _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: id}}); err != nil {
			t.Errorf("%s: %v", queue, err)
		}
	}
}

// TestSlowEnqueue: a writer that is too slow is told that others have decided
// against its batch, and nothing of it appears.
func TestSlowEnqueue(t *testing.T) {
	url, c := emptyStore(t), &clock{now: time.Now()}
	other := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithClock(c.Now))
	w := &wire{}
	slow := mustOpen(t, url, pipeline.QueueOptions{}, mongodb.WithClock(c.Now), mongodb.WithDialer(w))
	w.before(3, func() { // number, staged items, decision
		c.Advance(2 * time.Minute)
		if _, err := other.Reap(context.Background()); err != nil {
			t.Error(err)
		}
	})
	_, err := slow.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}, {ID: "b"}})
	if pipeline.CodeOf(err) != "enqueue-too-slow" {
		t.Errorf("error %v, want enqueue-too-slow", err)
	}
	if s, err := other.Stats(t.Context()); s.Enqueued != 0 || err != nil {
		t.Errorf("stats %+v, error %v", s, err)
	}
	if _, err := other.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a"}, {ID: "b"}}); err != nil {
		t.Errorf("the ids are not free again: %v", err)
	}
}

// TestClosed: a closed queue says so.
func TestClosed(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	if err := errors.Join(q.Close(), q.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Stats(t.Context()); pipeline.CodeOf(err) != "closed" {
		t.Errorf("error %v, want closed", err)
	}
}

// TestProducersClock: a process that only enqueues asks for the server's time now and
// then, also if its machine slept or its wall clock was set back.
func TestProducersClock(t *testing.T) {
	q := mustOpen(t, emptyStore(t), pipeline.QueueOptions{Create: true})
	for name, last := range map[string]time.Time{"long ago": time.Now().Add(-time.Hour), "in the future": time.Now().Add(time.Hour)} {
		mongodb.Synced(q, last)
		enqueue(t, q, pipeline.NewItem{})
		if since := time.Since(mongodb.Synced(q, last)); since < 0 || since > time.Minute {
			t.Errorf("the server was asked %s, and %v after an enqueue", name, since)
		}
	}
}
