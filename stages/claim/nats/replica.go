package nats

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// replica is what a process knows of a queue: every item without body and
// history, as of the last message that it has read. It only proposes; what
// decides is the condition of each write.
type replica struct {
	names names

	mu      sync.Mutex
	applied uint64 // sequence of the last message read
	waiters []waiter
	items   map[string]*item // by id
	order   []*item          // by age; with gone ones, until there are too many
	gone    int              // how many of order are gone
	keys    map[string]*key
	idems   map[string]claimant
	batches map[string]*batch
	leased  map[*item]struct{}
	count   map[pipeline.ItemState]int64
	turns   turns
	// remains are the messages that nothing refers to any more, by subject. The
	// next writer of the subject names their sequence; the reaper deletes them.
	remains map[string]remain
	// undecided are the subjects of calls that are not decided yet.
	undecided map[string]string
	// tombs are the tombstones of dropped items and undone calls, by their sequence.
	tombs map[uint64]tomb
}

// claimant is who has an idempotency key.
type claimant struct {
	id    string
	seq   uint64
	batch string
}

// batch is a call that takes several messages.
type batch struct {
	seen     int64 // server's time of its first item
	pending  []*item
	idems    []string
	subjects []remain // of its messages, for an undo
	decided  bool
	commits  bool
	seq      uint64 // of the decision
	live     int    // how many of its items are still there
}

type remain struct {
	subject string
	seq     uint64
	since   time.Time
}

// tomb is a tombstone.
type tomb struct {
	item  uint64 // sequence of what it buries, which goes first
	since time.Time
}

type waiter struct {
	seq uint64
	ch  chan struct{}
}

func newReplica(n names) *replica {
	return &replica{names: n, items: map[string]*item{}, keys: map[string]*key{}, idems: map[string]claimant{},
		batches: map[string]*batch{}, leased: map[*item]struct{}{}, count: map[pipeline.ItemState]int64{},
		remains: map[string]remain{}, undecided: map[string]string{}, tombs: map[uint64]tomb{}}
}

// advance notes that everything up to seq was read.
func (r *replica) advance(seq uint64) {
	r.applied = max(r.applied, seq)
	r.waiters = slices.DeleteFunc(r.waiters, func(w waiter) bool {
		if w.seq > r.applied {
			return false
		}
		close(w.ch)
		return true
	})
}

// wait returns when everything up to seq was read.
func (r *replica) wait(ctx context.Context, seq uint64) error {
	r.mu.Lock()
	if r.applied >= seq {
		r.mu.Unlock()
		return nil
	}
	w := waiter{seq, make(chan struct{})}
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	select {
	case <-w.ch:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiters = slices.DeleteFunc(r.waiters, func(o waiter) bool { return o.ch == w.ch })
		return ctx.Err()
	}
}

// addItem reads an item's message.
func (r *replica) addItem(seq uint64, rec itemRecord) {
	x := &item{itemRecord: rec, seq: seq, st: stateRecord{State: pipeline.StateReady, NotBefore: rec.NotBefore}}
	subject := r.names.item(rec.ID)
	if rec.Batch == "" {
		r.show(x)
		return
	}
	b := r.batch(rec.Batch)
	switch {
	case !b.decided:
		b.begun(rec.Enqueued)
		b.pending = append(b.pending, x)
		r.suspend(b, rec.Batch, subject, seq)
	case b.commits:
		r.show(x)
	default:
		r.leave(subject, seq)
	}
}

// suspend notes a message of a batch that is not decided.
func (r *replica) suspend(b *batch, name, subject string, seq uint64) {
	b.subjects = append(b.subjects, remain{subject: subject, seq: seq})
	r.undecided[subject] = name
	delete(r.remains, subject)
}

// begun notes when the first message of a batch was made.
func (b *batch) begun(at int64) {
	if b.seen == 0 {
		b.seen = at
	}
}

func (r *replica) batch(name string) *batch {
	b := r.batches[name]
	if b == nil {
		b = &batch{}
		r.batches[name] = b
	}
	return b
}

// show makes an item part of the queue. An earlier one of its id was dropped: its
// tombstone was replaced before it was read here.
func (r *replica) show(x *item) {
	if old := r.items[x.ID]; old != nil {
		r.enter(old, stateRecord{State: stateDropped}, old.rev)
	}
	delete(r.remains, r.names.item(x.ID))
	r.items[x.ID] = x
	r.order = append(r.order, x)
	if x.Batch != "" {
		r.batch(x.Batch).live++
	}
	if x.Key != "" {
		k := r.keys[x.Key]
		if k == nil {
			k = &key{name: x.Key}
			r.keys[x.Key] = k
		}
		k.items++
		x.key = k
	}
	r.count[x.st.State]++
	r.turns.settle(x)
}

// addIdem reads an idempotency key's message.
func (r *replica) addIdem(seq uint64, rec idemRecord) {
	c := claimant{id: rec.ID, seq: seq, batch: rec.Batch}
	b := r.batch(rec.Batch)
	if b.decided && !b.commits {
		r.leave(r.names.idem(rec.Idem), seq)
		return
	}
	delete(r.remains, r.names.idem(rec.Idem))
	r.idems[rec.Idem] = c
	if !b.decided {
		b.begun(rec.At)
		b.idems = append(b.idems, rec.Idem)
		r.suspend(b, rec.Batch, r.names.idem(rec.Idem), seq)
	}
}

// decide reads whether a batch has happened.
func (r *replica) decide(seq uint64, rec batchRecord) {
	b := r.batch(rec.Batch)
	if b.decided {
		return
	}
	b.decided, b.commits, b.seq = true, rec.Committed, seq
	for _, m := range b.subjects {
		delete(r.undecided, m.subject)
	}
	if b.commits {
		for _, x := range b.pending {
			r.show(x)
		}
		// Items of other calls may have come in between.
		if n := len(r.order) - len(b.pending); n > 0 && len(b.pending) > 0 && r.order[n-1].seq > b.pending[0].seq {
			slices.SortFunc(r.order, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
		}
	} else {
		r.tombs[seq] = tomb{seq, time.Now()} // it stays for a decision that comes late
		for _, m := range b.subjects {
			r.leave(m.subject, m.seq)
		}
		for _, idem := range b.idems {
			if r.idems[idem].batch == rec.Batch {
				delete(r.idems, idem)
			}
		}
	}
	b.pending, b.subjects, b.idems = nil, nil, nil
}

// leave notes a message that nothing refers to any more.
func (r *replica) leave(subject string, seq uint64) {
	r.remains[subject] = remain{subject, seq, time.Now()}
}

// setState reads a transition, also one of this process before its message
// comes back: its condition said that nothing else of the item, or of its key,
// came in between.
func (r *replica) setState(seq uint64, rec stateRecord, id, keyName string) {
	if rec.State == pipeline.StateLeased && rec.Token == 0 {
		rec.Token = seq
	}
	if k := r.keys[keyName]; keyName != "" && k != nil {
		k.last = max(k.last, seq)
	}
	x := r.items[id]
	switch {
	case x != nil && x.seq == rec.Item && seq > x.rev:
		r.enter(x, rec, seq)
	case x == nil && rec.State == stateDropped:
		r.tombs[seq] = tomb{rec.Item, time.Now()}
	}
	// What is left was read before, or is of an earlier item of this id.
}

func (r *replica) enter(x *item, rec stateRecord, seq uint64) {
	if x.st.State == pipeline.StateLeased {
		delete(r.leased, x)
		if x.key != nil {
			x.key.leased--
		}
	}
	r.count[x.st.State]--
	x.st, x.rev = rec, seq
	switch rec.State {
	case stateDropped:
		r.bury(x)
		return
	case pipeline.StateLeased:
		r.leased[x] = struct{}{}
		if x.key != nil {
			x.key.leased++
		}
	}
	r.count[rec.State]++
	r.turns.settle(x)
}

// bury takes a dropped item out of the queue.
func (r *replica) bury(x *item) {
	x.gone = true
	delete(r.items, x.ID)
	r.leave(r.names.item(x.ID), x.seq)
	if x.rev > 0 {
		r.tombs[x.rev] = tomb{x.seq, time.Now()}
	}
	if c, ok := r.idems[x.Idem]; ok && x.Idem != "" && c.id == x.ID && c.batch == x.Batch {
		r.leave(r.names.idem(x.Idem), c.seq)
		delete(r.idems, x.Idem)
	}
	if x.Batch != "" {
		b := r.batch(x.Batch)
		if b.live--; b.live == 0 {
			r.leave(r.names.batch(x.Batch), b.seq)
			delete(r.batches, x.Batch)
		}
	}
	if x.key != nil {
		r.turns.settle(x)
		if x.key.items--; x.key.items == 0 {
			delete(r.keys, x.Key)
		}
	}
	if r.gone++; r.gone > 1000 && r.gone > len(r.order)/2 {
		r.order = slices.DeleteFunc(r.order, func(x *item) bool { return x.gone })
		r.gone = 0
	}
}

// condition is what a write expects: that the last message on a subject or a
// wildcard has this sequence, 0 for none.
type condition struct {
	subject string
	last    uint64
}

// ofState is the condition of every transition of an item. That of a keyed item
// covers its whole key, so that a decision about whose turn it is holds for all
// its items.
func (r *replica) ofState(x *item) condition {
	if x.key != nil {
		return condition{r.names.statesOf(x.Key), x.key.last}
	}
	return condition{r.names.state("", x.ID), x.rev}
}

// learn corrects what the replica expects of a subject. Sequences go down when
// the reaper has deleted what nothing refers to, which no message tells.
func (r *replica) learn(c condition, x *item, last uint64) {
	if last > r.applied {
		return // not read yet: reading on tells more
	}
	switch {
	case x == nil && last == 0:
		delete(r.remains, c.subject)
	case x == nil:
		// The message there is known, and what it means: planning anew finds it.
	case x.key != nil:
		x.key.last = last
	case last < x.rev && !x.gone:
		r.enter(x, stateRecord{State: stateDropped}, x.rev) // only tombstones are deleted
	default:
		x.rev = last // the tombstone of an earlier item of this id
	}
}
