package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// fakeQueue is a queue in memory, without what workers need.
type fakeQueue struct {
	pipeline.Queue // nil: no command claims
	entries        []pipeline.Entry
	paused         bool
	countErr       error
	changed        []string // the calls that changed something
	imports        []int    // sizes of the batches
	refuse         string   // the id that Import refuses
}

// parts is a command line with this queue behind fake:x.
func (q *fakeQueue) parts() Parts {
	return Parts{Queues: []pipeline.QueueDriver{{Scheme: "fake", Open: func(context.Context, string, pipeline.QueueOptions) (pipeline.Source, error) {
		return q, nil
	}}}}
}

// command runs waybill queue NAME on it.
func (q *fakeQueue) command(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, q.parts(), "", append([]string{"queue", args[0], "--from", "fake:x"}, args[1:]...)...)
}

func (q *fakeQueue) pick(f pipeline.Filter) (out []pipeline.Entry) {
	for _, e := range q.entries {
		if (f.IDs == nil || slices.Contains(f.IDs, e.ID)) && (f.State == "" || f.State == e.State) && (f.Key == "" || f.Key == e.Key) &&
			(f.Result == "" || f.Result == e.Result) && (f.OlderThan == 0 || time.Since(e.Enqueued) >= f.OlderThan) {
			out = append(out, e)
		}
	}
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[:f.Limit]
	}
	return out
}

func (q *fakeQueue) change(what string, f pipeline.Filter) (int, error) {
	n := len(q.pick(f))
	q.changed = append(q.changed, fmt.Sprintf("%s %d", what, n))
	return n, nil
}

func (q *fakeQueue) List(_ context.Context, f pipeline.Filter) ([]pipeline.Entry, error) {
	return q.pick(f), nil
}

func (q *fakeQueue) Count(_ context.Context, f pipeline.Filter) (int64, error) {
	return int64(len(q.pick(f))), q.countErr
}

func (q *fakeQueue) Retry(_ context.Context, f pipeline.Filter) (int, error) {
	f.State = pipeline.StateDead
	return q.change("retry", f)
}
func (q *fakeQueue) Drop(_ context.Context, f pipeline.Filter) (int, error) {
	return q.change("drop", f)
}
func (q *fakeQueue) Cancel(_ context.Context, f pipeline.Filter) (int, error) {
	return q.change("cancel", f)
}
func (q *fakeQueue) Move(_ context.Context, f pipeline.Filter, to string) (int, error) {
	return q.change("move to "+to, f)
}
func (q *fakeQueue) Pause(_ context.Context, paused bool) error {
	q.paused = paused
	return nil
}

func (q *fakeQueue) Export(_ context.Context, f pipeline.Filter, yield func(pipeline.Entry) error) error {
	for _, e := range q.pick(f) {
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (q *fakeQueue) Import(_ context.Context, entries []pipeline.Entry) (n int, err error) {
	all := slices.Clone(q.entries)
	for _, e := range entries {
		if e.ID == q.refuse {
			bad := pipeline.Fail("bad-item", "the queue does not like it")
			bad.Item = e.ID
			return 0, bad
		}
		if len(q.pick(pipeline.Filter{IDs: []string{e.ID}})) == 0 {
			all = append(all, e)
			n++
		}
	}
	q.imports = append(q.imports, len(entries))
	q.entries = all
	return n, nil
}

func (q *fakeQueue) Compact(_ context.Context, keep time.Duration) (pipeline.Compaction, error) {
	q.changed = append(q.changed, "compact "+keep.String())
	return pipeline.Compaction{Deleted: 1, Before: 3 << 20, After: 2048}, nil
}

func (q *fakeQueue) Records(context.Context, string) ([]pipeline.Record, time.Time, error) {
	return nil, time.Now(), nil
}

func (q *fakeQueue) Close() error { return nil }

// entriesOf makes n entries in a state, enqueued an hour ago.
func entriesOf(state pipeline.ItemState, prefix string, n int) (out []pipeline.Entry) {
	at := time.Now().Add(-time.Hour).UTC()
	for i := range n {
		e := pipeline.Entry{ID: fmt.Sprint(prefix, i), State: state, Enqueued: at.Add(time.Duration(i) * time.Millisecond)}
		switch state {
		case pipeline.StateDone:
			e.Result, e.Ended = pipeline.Succeeded, at.Add(time.Minute)
		case pipeline.StateDead:
			e.Result, e.Ended = pipeline.Dead, at.Add(time.Minute)
		}
		out = append(out, e)
	}
	return out
}

// mixedQueue has 4 ready, 2 leased, 3 done and 3 dead items.
func mixedQueue() *fakeQueue {
	return &fakeQueue{entries: slices.Concat(entriesOf(pipeline.StateReady, "r", 4), entriesOf(pipeline.StateLeased, "l", 2),
		entriesOf(pipeline.StateDone, "d", 3), entriesOf(pipeline.StateDead, "x", 3))}
}

var errNoCount = errors.New("the store is away")
