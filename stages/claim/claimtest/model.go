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

	enqueued  time.Duration // since the model's start
	cancelled bool
	idem      string // its idempotency key, unless another has taken it since
	active    bool   // the scope of that
	idemUntil time.Duration
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
	paused  bool
	drawn   int
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
			"stale": m.late, "advance": m.advance, "retry": m.retry, "drop": m.drop,
			"cancel": m.cancel, "pause": m.pause, "": m.check,
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
	items, want := make([]pipeline.NewItem, n), make([]pipeline.Enqueued, n)
	for i := range items {
		e := m.draw(t, &items[i])
		if first := m.holder(e.idem); first != nil {
			want[i] = pipeline.Enqueued{ID: first.id, Duplicate: true}
			continue
		}
		want[i].ID = e.id
		for _, o := range m.items {
			if o.idem == e.idem && o.idemUntil > 0 && o.idemUntil <= m.now {
				o.idem = "" // its time was over, and now the key is another's
			}
		}
		m.items = append(m.items, e)
	}
	got, err := m.q.Enqueue(m.b.Context(), items)
	m.must(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("enqueued %+v, want %+v", got, want)
	}
}

// draw makes a new item.
func (m *machine) draw(t *rapid.T, it *pipeline.NewItem) *entry {
	m.drawn++
	e := &entry{key: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "key"), state: pipeline.StateReady, enqueued: m.now}
	e.id = fmt.Sprintf("%s%d", e.key, m.drawn)
	*it = pipeline.NewItem{ID: e.id, Key: e.key, Priority: rapid.IntRange(0, 9).Draw(t, "priority")}
	if m.start.IsZero() {
		return e
	}
	if rapid.Bool().Draw(t, "delayed") {
		e.wait = m.now + 10*time.Second
		it.NotBefore = m.start.Add(e.wait)
	}
	if rapid.IntRange(0, 3).Draw(t, "deadline") == 0 {
		e.deadline = m.now + 20*time.Second
		it.Deadline = m.start.Add(e.deadline)
	}
	if e.idem = rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "idempotency key"); e.idem == "" {
		return e
	}
	it.IdempotencyKey = e.idem
	if e.active = rapid.Bool().Draw(t, "active"); e.active {
		it.IdempotencyScope = pipeline.ScopeActive
	}
	if rapid.Bool().Draw(t, "ttl") {
		e.idemUntil = m.now + 15*time.Second
		it.IdempotencyTTL = pipeline.Duration(15 * time.Second)
	}
	return e
}

// holder returns the item that an idempotency key is known by.
func (m *machine) holder(idem string) *entry {
	for _, e := range m.items {
		ended := e.state == pipeline.StateDone || e.state == pipeline.StateDead
		if idem != "" && e.idem == idem && (e.idemUntil == 0 || e.idemUntil > m.now) && !(e.active && ended) {
			return e
		}
	}
	return nil
}

// condemned says why an item may not run any more; empty if it may.
func (m *machine) condemned(e *entry) string {
	switch {
	case e.cancelled:
		return pipeline.CodeCancelled
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
	return e.wait > m.now && m.condemned(e) != pipeline.CodeDeadlineExceeded && !e.cancelled
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
		if m.claimable(e) && !m.paused {
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

// retry gives a dead item its idempotency key back, unless another has it.
func (m *machine) retry(t *rapid.T) {
	e := m.pick(t, pipeline.StateDead)
	n, err := m.q.Retry(m.b.Context(), pipeline.Filter{IDs: []string{e.id}})
	m.must(t, err)
	if n != 1 {
		t.Fatalf("retried %d of 1", n)
	}
	if m.holder(e.idem) != nil && e.active {
		e.idem = ""
	}
	e.state, e.attempts, e.wait, e.expired, e.cancelled = pipeline.StateReady, 0, 0, false, false
	if e.deadline <= m.now {
		e.deadline = 0
	}
}

func (m *machine) cancel(t *rapid.T) {
	e := rapid.SampledFrom(m.items).Draw(t, "item")
	ended := e.state == pipeline.StateDone || e.state == pipeline.StateDead
	if e.cancelled && !ended {
		t.Skip("cancelled before")
	}
	n, err := m.q.Cancel(m.b.Context(), pipeline.Filter{IDs: []string{e.id}})
	m.must(t, err)
	if (n == 1) == ended {
		t.Fatalf("cancelling a %s item: %d", e.state, n)
	}
	if ended {
		return
	}
	if e.state == pipeline.StateLeased {
		m.end(e, pipeline.StateReady)
	}
	e.cancelled, e.wait = true, 0
}

func (m *machine) pause(t *rapid.T) {
	m.paused = !m.paused
	m.must(t, m.q.Pause(m.b.Context(), m.paused))
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
