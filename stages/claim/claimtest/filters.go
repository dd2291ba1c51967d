package claimtest

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// filters: Count, List and Export agree on what a filter selects, and changes
// touch nothing else.
func filters(b *bench) {
	tools := b.q
	b.enqueue(numbered("old", 4, pipeline.NewItem{Priority: 1})...)
	for i, it := range b.claim(3) {
		b.ack(it, []pipeline.Result{pipeline.Succeeded, pipeline.Dropped, pipeline.Dead}[i])
	}
	b.advance(time.Minute)
	b.enqueue(numbered("new", 3, pipeline.NewItem{Key: "k"})...)
	b.enqueue(pipeline.NewItem{ID: "top", Priority: 9})
	b.ack(b.one(), pipeline.Dead)
	for _, tc := range []struct {
		name string
		f    pipeline.Filter
		want []string
	}{
		{"all", pipeline.Filter{}, []string{"old0", "old1", "old2", "old3", "new0", "new1", "new2", "top"}},
		{"state", pipeline.Filter{State: pipeline.StateReady}, []string{"old3", "new0", "new1", "new2"}},
		{"key", pipeline.Filter{Key: "k"}, []string{"new0", "new1", "new2"}},
		{"ids", pipeline.Filter{IDs: []string{"new1", "old1", "none"}}, []string{"old1", "new1"}},
		{"no ids", pipeline.Filter{IDs: []string{}}, nil},
		{"succeeded", pipeline.Filter{Result: pipeline.Succeeded}, []string{"old0"}},
		{"dropped", pipeline.Filter{Result: pipeline.Dropped}, []string{"old1"}},
		{"result and state", pipeline.Filter{Result: pipeline.Dead, State: pipeline.StateDead}, []string{"old2", "top"}},
		{"result of another state", pipeline.Filter{Result: pipeline.Dead, State: pipeline.StateDone}, nil},
		{"unknown result", pipeline.Filter{Result: "odd"}, nil},
		{"older", pipeline.Filter{OlderThan: time.Minute}, []string{"old0", "old1", "old2", "old3"}},
		{"older than all", pipeline.Filter{OlderThan: time.Minute + time.Second}, nil},
		{"older and state", pipeline.Filter{OlderThan: 30 * time.Second, State: pipeline.StateReady}, []string{"old3"}},
		{"older, key", pipeline.Filter{OlderThan: 30 * time.Second, Key: "k"}, nil},
	} {
		n, err := tools.Count(b.Context(), tc.f)
		if n != int64(len(tc.want)) || err != nil {
			b.Errorf("%s: counted %d, error %v; want %d", tc.name, n, err, len(tc.want))
		}
		entries, err := b.q.List(b.Context(), tc.f)
		if err != nil {
			b.Fatalf("%s: %v", tc.name, err)
		}
		var listed, exported []string
		for _, e := range entries {
			listed = append(listed, e.ID)
		}
		err = tools.Export(b.Context(), tc.f, func(e pipeline.Entry) error {
			exported = append(exported, e.ID)
			return nil
		})
		if d := cmp.Diff(tc.want, listed) + cmp.Diff(tc.want, exported); d != "" || err != nil {
			b.Errorf("%s: error %v (-want +listed, -want +exported):\n%s", tc.name, err, d)
		}
	}
	if n, err := b.q.Retry(b.Context(), pipeline.Filter{OlderThan: time.Minute, Result: pipeline.Dead}); n != 1 || err != nil {
		b.Errorf("retried %d, error %v; want old2", n, err)
	}
	b.state("old2", pipeline.StateReady)
	b.state("top", pipeline.StateDead)
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{Result: pipeline.Succeeded}); n != 1 || err != nil {
		b.Errorf("dropped %d, error %v; want old0", n, err)
	}
	if n, err := b.q.Drop(b.Context(), pipeline.Filter{OlderThan: time.Minute}); n != 3 || err != nil {
		b.Errorf("dropped %d, error %v; want what is left of the old ones", n, err)
	}
	b.wantStats(pipeline.QueueStats{Ready: 3, Dead: 1, Enqueued: 4})
}
