package mongodb_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/mongodb"
)

// logBook is a log whose lines a test may wait for.
type logBook chan string

func newLog() (logBook, *slog.Logger) {
	l := make(logBook, 100)
	return l, slog.New(slog.NewTextHandler(l, nil))
}

func (l logBook) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody reads so much
	}
	return len(p), nil
}

// says waits for a line with a text.
func (l logBook) says(t *testing.T, text string) {
	t.Helper()
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-time.After(time.Minute):
			t.Fatalf("the log never says %q", text)
		}
	}
}

// woken waits for a wake; the test's deadline bounds it.
func woken(t *testing.T, q *mongodb.Queue, why string) {
	t.Helper()
	select {
	case <-q.Wakes():
	case <-time.After(time.Minute):
		t.Fatalf("never woken: %s", why)
	}
}

func enqueue(t *testing.T, q pipeline.Queue, items ...pipeline.NewItem) {
	t.Helper()
	if _, err := q.Enqueue(t.Context(), items); err != nil {
		t.Fatal(err)
	}
}

// TestWokenByOthers: what another process writes wakes by the change stream, in
// each of the ways in which an item becomes ready.
func TestWokenByOthers(t *testing.T) {
	url := emptyStore(t)
	other := mustOpen(t, url, pipeline.QueueOptions{Create: true})
	q := mustOpen(t, url, pipeline.QueueOptions{})
	elsewhere := mustOpen(t, url, pipeline.QueueOptions{Queue: "default0", Create: true})
	woken(t, q, "the stream is open")

	enqueue(t, elsewhere, pipeline.NewItem{ID: "x"})
	enqueue(t, other, pipeline.NewItem{ID: "a"})
	woken(t, q, "an enqueue of one")
	enqueue(t, other, pipeline.NewItem{ID: "b", Key: "k"}, pipeline.NewItem{ID: "c"})
	woken(t, q, "an enqueue of several")
	for claimed := 0; claimed < 3; {
		items, err := other.Claim(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		claimed += len(items)
		for _, it := range items {
			drain(q)
			if err := other.Nack(t.Context(), it, pipeline.Release{}); err != nil {
				t.Fatal(err)
			}
			woken(t, q, "given back")
		}
	}
}

// drain takes a wake that is there already.
func drain(q *mongodb.Queue) {
	select {
	case <-q.Wakes():
	default:
	}
}

// TestWokenByOneself: on a server without change streams, which is said once, own
// writes wake all the same.
func TestWokenByOneself(t *testing.T) {
	log, logger := newLog()
	q := mustOpen(t, "mongodb://"+serve(t, "-no-streams")+"/jobs", pipeline.QueueOptions{Create: true, Log: logger})
	wakes := q.Wakes()
	log.says(t, "polling")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"enqueue", func() error { _, err := q.Enqueue(t.Context(), []pipeline.NewItem{{ID: "a", Key: "k"}}); return err }},
		{"cancel", func() error { _, err := q.Cancel(t.Context(), pipeline.Filter{}); return err }},
		{"import", func() error {
			_, err := q.Import(t.Context(), []pipeline.Entry{{ID: "b", State: pipeline.StateDead}})
			return err
		}},
		{"retry", func() error { _, err := q.Retry(t.Context(), pipeline.Filter{}); return err }},
		{"resume", func() error { return q.Pause(t.Context(), false) }},
	} {
		drain(q)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		select {
		case <-wakes:
		default:
			t.Errorf("%s does not wake", step.name)
		}
	}
}

// TestStreamBreaks: a change stream that the server has ended is opened again.
func TestStreamBreaks(t *testing.T) {
	t.Parallel()
	w := &wire{}
	url := emptyStore(t)
	q := mustOpen(t, url, pipeline.QueueOptions{Create: true}, mongodb.WithDialer(w))
	other := mustOpen(t, url, pipeline.QueueOptions{})
	woken(t, q, "the stream is open")
	w.cut()
	enqueue(t, other, pipeline.NewItem{})
	woken(t, q, "an enqueue after the cut")
}
