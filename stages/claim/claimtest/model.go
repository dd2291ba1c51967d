package claimtest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"pgregory.net/rapid"
)

// entry is an item as the model sees it. Its place in the slice is its age.
type entry struct {
	id, key  string
	state    pipeline.ItemState
	attempts int
	wait     time.Duration // until it is ready, from the model's start
	lease    time.Duration // end of its lease
	deadline time.Duration // 0 is none
	expired  bool          // its last lease ran out
	held     *pipeline.Item
}

// machine runs random operations on a queue and on the simplest thing that
// could be one, and compares.
type machine struct {
	b       *bench
	q       pipeline.Queue
	now     time.Duration
	start   time.Time
	items   []*entry
	stale   []*pipeline.Item
	attempt int // MaxAttempts of the queue
}

func model(b *bench) {
	run := 0
	rapid.Check(b.T, func(t *rapid.T) {
		run++
		m := &machine{b: b, attempt: rapid.IntRange(0, 3).Draw(t, "maxAttempts")}
		m.q = b.open(pipeline.QueueOptions{Queue: fmt.Sprintf("model-%d", run), MaxAttempts: m.attempt})
		defer m.q.Close()
		m.enqueue(t)
		m.start = m.show(t, m.items[0]).Enqueued
		t.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueue, "claim": m.claim, "ack": m.ack, "nack": m.nack, "renew": m.renew,
			"stale": m.late, "advance": m.advance, "retry": m.retry, "drop": m.drop, "": m.check,
		})
	})
}

func (m *machine) must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func (m *machine) show(t *rapid.T, e *entry) pipeline.Entry {
	got, err := m.q.Show(m.b.Context(), e.id)
	m.must(t, err)
	return got
}

func (m *machine) enqueue(t *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(t, "n")
	items := make([]pipeline.NewItem, n)
	for i := range items {
		e := &entry{key: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "key"), state: pipeline.StateReady}
		e.id = fmt.Sprintf("%s%d", e.key, rapid.Uint64().Draw(t, "id"))
		if m.find(e.id) != nil {
			e.id += fmt.Sprint("-", len(m.items))
		}
		items[i] = pipeline.NewItem{ID: e.id, Key: e.key, Priority: rapid.IntRange(0, 9).Draw(t, "priority")}
		if !m.start.IsZero() && rapid.Bool().Draw(t, "delayed") {
			e.wait = m.now + 10*time.Second
			items[i].NotBefore = m.start.Add(e.wait)
		}
		if !m.start.IsZero() && rapid.IntRange(0, 3).Draw(t, "deadline") == 0 {
			e.deadline = m.now + 20*time.Second
			items[i].Deadline = m.start.Add(e.deadline)
		}
		m.items = append(m.items, e)
	}
	_, err := m.q.Enqueue(m.b.Context(), items)
	m.must(t, err)
}

// condemned says why an item may not run any more; empty if it may.
func (m *machine) condemned(e *entry) string {
	switch {
	case e.deadline > 0 && e.deadline <= m.now:
		return pipeline.CodeDeadlineExceeded
	case e.expired && m.attempt > 0 && e.attempts >= m.attempt:
		return pipeline.CodeAttemptsExhausted
	}
	return ""
}

// claimable: ready, its time has come or its deadline has passed, and the oldest
// live one of its key.
func (m *machine) claimable(e *entry) bool {
	return e.state == pipeline.StateReady && !m.waits(e) && m.hasTurn(e)
}

// waits reports whether only time keeps the item from being claimable, if it has
// its turn.
func (m *machine) waits(e *entry) bool {
	return e.wait > m.now && m.condemned(e) != pipeline.CodeDeadlineExceeded
}

// hasTurn reports whether no other item of its key is leased or goes before it.
func (m *machine) hasTurn(e *entry) bool {
	if e.key == "" {
		return true
	}
	first := true
	for _, o := range m.items {
		if o == e {
			first = false
			continue
		}
		if o.key == e.key && (o.state == pipeline.StateLeased || first && o.state == pipeline.StateReady) {
			return false
		}
	}
	return true
}

func (m *machine) claim(t *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(t, "n")
	could := []*entry{}
	for _, e := range m.items {
		if m.claimable(e) {
			could = append(could, e)
		}
	}
	got, err := m.q.Claim(m.b.Context(), n)
	m.must(t, err)
	if len(got) != min(n, len(could)) {
		t.Fatalf("claim(%d) returned %d of %d claimable", n, len(got), len(could))
	}
	for _, it := range got {
		e := m.find(it.ID)
		if !slices.Contains(could, e) {
			t.Fatalf("claimed %s, which was not claimable", it.ID)
		}
		code := m.condemned(e)
		if code == "" {
			e.attempts++
			e.expired = false
		}
		e.state, e.lease, e.held, e.wait = pipeline.StateLeased, m.now+Lease, it, 0
		if it.Attempt != e.attempts || pipeline.CodeOf(it.Condemned) != code {
			t.Fatalf("%s: attempt %d, condemned: %v; want %d, %q", it.ID, it.Attempt, it.Condemned, e.attempts, code)
		}
	}
}

func (m *machine) find(id string) *entry {
	for _, e := range m.items {
		if e.id == id {
			return e
		}
	}
	return nil
}

// pick draws a leased item; nil if there is none.
func (m *machine) pick(t *rapid.T, state pipeline.ItemState) *entry {
	var all []*entry
	for _, e := range m.items {
		if e.state == state {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		t.Skip("none is ", state)
	}
	return rapid.SampledFrom(all).Draw(t, "item")
}

func (m *machine) ack(t *rapid.T) {
	e := m.pick(t, pipeline.StateLeased)
	o := pipeline.Outcome{Result: rapid.SampledFrom([]pipeline.Result{pipeline.Succeeded, pipeline.Dead, pipeline.Dropped}).Draw(t, "result")}
	m.must(t, m.q.Ack(m.b.Context(), e.held, o))
	m.must(t, m.q.Ack(m.b.Context(), e.held, o))
	m.end(e, pipeline.StateDone)
	if o.Result == pipeline.Dead {
		e.state = pipeline.StateDead
	}
}

// end leaves a lease; the item that held it is stale from now on.
func (m *machine) end(e *entry, s pipeline.ItemState) {
	if s == pipeline.StateReady || s == pipeline.StateDead {
		m.stale = append(m.stale, e.held)
	}
	e.state, e.held = s, nil
}

func (m *machine) nack(t *rapid.T) {
	e := m.pick(t, pipeline.StateLeased)
	r := pipeline.Release{Refund: rapid.Bool().Draw(t, "refund")}
	if rapid.Bool().Draw(t, "delayed") {
		r.After = 9*time.Second + 500*time.Millisecond // between two steps of the clock
		e.wait = m.now + 10*time.Second
	}
	m.must(t, m.q.Nack(m.b.Context(), e.held, r))
	if r.Refund && e.held.Condemned == nil {
		e.attempts--
	}
	m.end(e, pipeline.StateReady)
}

func (m *machine) renew(t *rapid.T) {
	held := slices.Clone(m.stale)
	for _, e := range m.items {
		if e.held != nil {
			held = append(held, e.held)
			e.lease = m.now + Lease
		}
	}
	lost, err := m.q.Renew(m.b.Context(), held)
	m.must(t, err)
	if len(lost) != len(m.stale) {
		t.Fatalf("renewing %d live and %d stale items lost %d", len(held)-len(m.stale), len(m.stale), len(lost))
	}
}

func (m *machine) late(t *rapid.T) {
	if len(m.stale) == 0 {
		t.Skip("nothing is stale")
	}
	it := rapid.SampledFrom(m.stale).Draw(t, "item")
	err1 := m.q.Ack(m.b.Context(), it, pipeline.Outcome{Result: pipeline.Skipped})
	err2 := m.q.Nack(m.b.Context(), it, pipeline.Release{})
	if !errors.Is(err1, pipeline.ErrLeaseLost) || !errors.Is(err2, pipeline.ErrLeaseLost) {
		t.Fatalf("stale writes returned %v and %v", err1, err2)
	}
}

func (m *machine) advance(t *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 10, 40}).Draw(t, "seconds")) * time.Second
	m.b.store.Advance(m.b, m.q, d)
	m.now += d
	for _, e := range m.items {
		if e.state != pipeline.StateLeased || e.lease > m.now {
			continue
		}
		m.end(e, pipeline.StateReady)
		e.expired = true
	}
}

func (m *machine) retry(t *rapid.T) {
	n, err := m.q.Retry(m.b.Context(), pipeline.Filter{})
	m.must(t, err)
	for _, e := range m.items {
		if e.state == pipeline.StateDead {
			e.state, e.attempts, e.wait, e.expired = pipeline.StateReady, 0, 0, false
			if e.deadline <= m.now {
				e.deadline = 0
			}
			n--
		}
	}
	if n != 0 {
		t.Fatalf("retry was off by %d", n)
	}
}

func (m *machine) drop(t *rapid.T) {
	e := rapid.SampledFrom(m.items).Draw(t, "item")
	n, err := m.q.Drop(m.b.Context(), pipeline.Filter{IDs: []string{e.id}})
	m.must(t, err)
	if want := e.state != pipeline.StateLeased; (n == 1) != want {
		t.Fatalf("dropping a %s item: %d", e.state, n)
	} else if want && len(m.items) > 1 {
		m.items = slices.DeleteFunc(m.items, func(o *entry) bool { return o == e })
	} else if want {
		m.items = nil
		m.enqueue(t)
	}
}

// check compares everything that can be seen.
func (m *machine) check(t *rapid.T) {
	entries, err := m.q.List(m.b.Context(), pipeline.Filter{Limit: 1 << 20})
	m.must(t, err)
	stands := make(map[string]pipeline.Entry, len(entries))
	for _, e := range entries {
		stands[e.ID] = e
	}
	var want pipeline.QueueStats
	for _, e := range m.items {
		want.Enqueued++
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
	if got != want || len(entries) != len(m.items) {
		t.Fatalf("stats %+v, want %+v", got, want)
	}
	n, _, err := m.q.Pending(m.b.Context())
	m.must(t, err)
	if n != want.Ready+want.Leased {
		t.Fatalf("pending %d, want %d", n, want.Ready+want.Leased)
	}
}
