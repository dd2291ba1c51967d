package claimtest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// stand is where an item stands; the zero value is that of one that is not
// there.
type stand struct {
	queue     string
	result    pipeline.Result // empty: it has not ended
	attempts  int
	cancelled bool
}

// estate is what a process has made of a store.
type estate struct {
	items  map[string]stand
	tokens map[string]int64 // of the last claims
	record string
	paused bool
}

// estates returns what there was before the call that the process died in, and
// what there is if that was carried out. Without such a call both are the same.
func (d diary) estates() (before, after estate, during note) {
	before = estate{items: map[string]stand{}, tokens: map[string]int64{}}
	for _, n := range d.notes {
		if n.Done {
			before.apply(n)
		}
	}
	after = before
	if last := len(d.notes) - 1; last >= 0 && !d.notes[last].Done {
		during = d.notes[last]
		after.items = maps.Clone(before.items)
		after.apply(during)
	}
	return before, after, during
}

func (e *estate) apply(n note) {
	switch n.Op {
	case opPause:
		e.paused = n.Paused
	case opWrite, opDelete:
		e.record = n.Value
	case opCompact:
		maps.DeleteFunc(e.items, func(_ string, s stand) bool { return s.result != "" && s.result != pipeline.Dead })
	}
	for i, id := range n.IDs {
		if i < len(n.Tokens) {
			e.tokens[id] = n.Tokens[i]
		}
		if n.Op == opDrop {
			delete(e.items, id)
			continue
		}
		e.items[id] = e.items[id].after(n, i)
	}
}

// after returns where an item stands after a call, of which it was the i-th.
func (s stand) after(n note, i int) stand {
	switch n.Op {
	case opEnqueue:
		s.queue = "default"
	case opImport:
		s = stand{queue: "default", result: imported(n.IDs)[i].Result}
	case opClaim:
		if !s.cancelled {
			s.attempts++
		}
	case opNack:
		if n.Refund {
			s.attempts--
		}
	case opAck:
		s.result = n.Result
	case opRetry, opRetryOlder:
		s = stand{queue: s.queue}
	case opCancel:
		s.cancelled = true
	case opMove:
		s.queue = elsewhere
	}
	return s
}

// seen reports whether a listing that shows got can be of an item that stands
// so. The attempts of condemned ones do not matter.
func (s stand) seen(got stand) bool {
	return s.queue == got.queue && s.result == got.result && (s.cancelled || s.attempts == got.attempts)
}

// inspect opens the store of a dead process, as the others do that go on.
// What it was told is so; the call that it died in was carried out or was not,
// as a whole where the contract says so; nothing is lost, in two places, stuck,
// out of order, or comes back after its end; and its tokens write nothing.
func inspect(b *bench, d diary) {
	before, after, during := d.estates()
	if !d.over {
		b.Logf("died at %q, in %s %v", d.points[0].Point, cmp.Or(during.Op, "nothing"), during.IDs)
	}
	b.q = b.open(pipeline.QueueOptions{})
	if during.Op == opRetryOlder {
		b.inTurn()
	}
	b.advance(24 * time.Hour) // beyond all leases and waits
	queues := map[string]*bench{"default": b, elsewhere: {T: b.T, store: b.store}}
	queues[elsewhere].q = b.open(pipeline.QueueOptions{Queue: elsewhere})
	queues[elsewhere].advance(0)

	got := map[string]stand{}
	for name, q := range queues {
		q.stats()
		for id, e := range q.all() {
			if e.State == pipeline.StateLeased {
				b.Fatalf("%s is still leased", id)
			}
			if other, twice := got[id]; twice {
				b.Fatalf("%s is in %s and in %s", id, other.queue, name)
			}
			got[id] = stand{queue: name, result: e.Result, attempts: e.Attempts}
		}
	}
	compare(b, before, after, during, got)
	b.shared(before, after)
	b.fenced(before, got)
	b.keysKnown(queues, got)
	for name, q := range queues {
		q.workOff(name, before, after, got)
	}
}

// inTurn claims what a retry has left, before anybody has repaired it: no item goes
// before an older one of its key that was ready already.
func (b *bench) inTurn() {
	b.Helper()
	before := b.all()
	for _, it := range b.claim(len(before)) {
		for id, e := range before { // ids of a key are in the order of its items
			if it.Key != "" && e.Key == it.Key && e.State == pipeline.StateReady && id < it.ID {
				b.Errorf("%s was claimed although %s, of the same key, was ready", it.ID, id)
			}
		}
		b.nack(it, pipeline.Release{Refund: true})
	}
}

// compare checks each item against where it may stand.
func compare(b *bench, before, after estate, during note, got map[string]stand) {
	b.Helper()
	ids := map[string]bool{}
	for _, m := range []map[string]stand{before.items, after.items, got} {
		for id := range m {
			ids[id] = true
		}
	}
	done, undone := 0, 0
	for id := range ids {
		old, new := before.items[id].seen(got[id]), after.items[id].seen(got[id])
		if !old && !new {
			b.Errorf("%s stands as %+v, want %+v or %+v", id, got[id], before.items[id], after.items[id])
		}
		if new && !old {
			done++
		} else if old && !new {
			undone++
		}
	}
	atomic := during.Op == opEnqueue || during.Op == opMove || during.Op == opImport
	if atomic && done > 0 && undone > 0 {
		b.Errorf("%s of %v was done for %d items and not for %d", during.Op, during.IDs, done, undone)
	}
	if b.Failed() {
		b.FailNow()
	}
}

// shared checks the record and whether the queue is paused, and resumes it.
func (b *bench) shared(before, after estate) {
	b.Helper()
	all, _, err := b.q.Records(b.Context(), "points/")
	value := ""
	for _, r := range all {
		value += string(r.Value)
	}
	if err != nil || value != before.record && value != after.record {
		b.Errorf("the record is %q, error %v; want %q or %q", value, err, before.record, after.record)
	}
	paused := b.stats().Paused
	if paused != before.paused && paused != after.paused {
		b.Errorf("the queue is paused: %v, want %v", paused, before.paused)
	}
	if paused {
		if err := b.q.Pause(b.Context(), false); err != nil {
			b.Fatal(err)
		}
	}
}

// fenced checks that the tokens of the dead write nothing.
func (b *bench) fenced(before estate, got map[string]stand) {
	b.Helper()
	for id, token := range before.tokens {
		if got[id].result != "" {
			continue // the same acknowledgement again is no error
		}
		it := &pipeline.Item{ID: id, Token: token}
		b.wantLost("ack of "+id+" by the dead", b.q.Ack(b.Context(), it, pipeline.Outcome{Result: pipeline.Succeeded}))
	}
}

// keysKnown enqueues the script's idempotency keys once more: each is known as
// long as its item is there, or, of the scope "active", has not ended.
func (b *bench) keysKnown(queues map[string]*bench, got map[string]stand) {
	b.Helper()
	for key, id := range map[string]string{"x": "a2", "y": "d1", "z": "f1"} {
		for name, q := range queues {
			if name == elsewhere && key != "z" {
				continue
			}
			s := got[id]
			known := s.queue == name && (key != "y" || s.result == "")
			answer, err := q.q.Enqueue(b.Context(), []pipeline.NewItem{{ID: "again-" + key, IdempotencyKey: key}})
			if err != nil || answer[0].Duplicate != known || known && answer[0].ID != id {
				b.Fatalf("idempotency key %s in %s: %+v, error %v; want a duplicate: %v, of %s, which stands as %+v", key, name, answer, err, known, id, s)
			}
			if !known {
				got["again-"+key+"@"+name] = stand{queue: name}
			}
		}
	}
}

// workOff ends everything that is in the queue.
func (b *bench) workOff(name string, before, after estate, got map[string]stand) {
	b.Helper()
	want := pipeline.QueueStats{}
	for _, s := range got {
		if s.queue == name {
			want.Enqueued++
		}
	}
	order := map[string][]string{}
	for {
		items := b.claim(1)
		if len(items) == 0 {
			break
		}
		it := items[0]
		if got[it.ID].result != "" {
			b.Fatalf("%s came back after it had ended as %s", it.ID, got[it.ID].result)
		}
		if name == "default" && it.Token <= before.tokens[it.ID] {
			b.Errorf("%s has the token %d after %d", it.ID, it.Token, before.tokens[it.ID])
		}
		cancelled := pipeline.CodeOf(it.Condemned) == pipeline.CodeCancelled
		if cancelled != before.items[it.ID].cancelled && cancelled != after.items[it.ID].cancelled {
			b.Errorf("%s comes as cancelled: %v", it.ID, cancelled)
		}
		if it.Key != "" {
			order[it.Key] = append(order[it.Key], it.ID)
		}
		result := pipeline.Succeeded
		if it.Condemned != nil {
			result = pipeline.Dead
		}
		b.ack(it, result)
	}
	for key, ids := range order {
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			b.Errorf("the key %s ran as %v", key, ids)
		}
	}
	if s := b.stats(); s.Ready+s.Leased != 0 || s.Enqueued != want.Enqueued {
		b.Errorf("%s: at the end %+v, want %d items and all of them ended", name, s, want.Enqueued)
	}
}
