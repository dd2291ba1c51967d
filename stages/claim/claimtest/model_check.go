package claimtest

import (
	"math"

	"github.com/waybill-dev/waybill/pipeline"
	"pgregory.net/rapid"
)

// check compares everything that can be seen.
func (m *machine) check(t *rapid.T) {
	entries, err := m.q.List(m.b.Context(), pipeline.Filter{Limit: 1 << 20})
	m.must(t, err)
	stands := make(map[string]pipeline.Entry, len(entries))
	for _, e := range entries {
		stands[e.ID] = e
	}
	want := pipeline.QueueStats{Paused: m.paused}
	for _, e := range m.items {
		want.Enqueued++
		if m.claimable(e) {
			want.AgeSeconds = max(want.AgeSeconds, (m.now - e.enqueued).Seconds())
		}
		switch e.state {
		case pipeline.StateReady:
			want.Ready++
			if m.waits(e) && m.hasTurn(e) {
				want.Delayed++
			}
		case pipeline.StateLeased:
			want.Leased++
		case pipeline.StateDone:
			want.Done++
		case pipeline.StateDead:
			want.Dead++
		}
		if got := stands[e.id]; got.State != e.state || got.Attempts != e.attempts {
			t.Fatalf("%s is %s after %d attempts, want %s after %d", e.id, got.State, got.Attempts, e.state, e.attempts)
		}
	}
	got, err := m.q.Stats(m.b.Context())
	m.must(t, err)
	if math.Abs(got.AgeSeconds-want.AgeSeconds) < 0.01 {
		got.AgeSeconds = want.AgeSeconds // both are rounded
	}
	if got != want || len(entries) != len(m.items) {
		t.Fatalf("stats %+v, want %+v", got, want)
	}
	n, _, err := m.q.Pending(m.b.Context())
	m.must(t, err)
	if n != want.Ready+want.Leased {
		t.Fatalf("pending %d, want %d", n, want.Ready+want.Leased)
	}
}
