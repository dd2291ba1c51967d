package nats

import (
	"cmp"
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

	read    *progress // of the queue's tail
	mu      sync.Mutex
	items   map[string]*item // by id
	order   []*item          // by age; with gone ones, until there are too many
	gone    int              // how many of order are gone
	keys    map[string]*key
	marks   map[string]mark  // of idempotency keys
	holders map[string]*item // the last item of each idempotency key
	batches map[string]*batch
	leased  map[*item]struct{}
	moving  map[*item]struct{} // on their way to another queue
	count   map[pipeline.ItemState]int64
	turns   turns
	paused  bool
	pausing uint64 // sequence of the message that says so
	floor   uint64 // what the tokens of coming claims are above
	// remains are the messages that nothing refers to any more, by subject. The
	// next writer of the subject names their sequence; the reaper deletes them.
	remains map[string]remain
	// undecided are the subjects of calls that are not decided yet.
	undecided map[string]string
	// tombs are the tombstones of dropped items and undone calls, by sequence.
	tombs map[uint64]tomb
}

// remain is a message that nothing refers to.
type remain struct {
	subject string
	seq     uint64
	since   time.Time
}

// tomb is a tombstone.
type tomb struct {
	seq  uint64 // its own
	item uint64 // sequence of what it buries, which goes first
	at   int64  // the server's time
}

func newReplica(n names) *replica {
	return &replica{names: n, items: map[string]*item{}, keys: map[string]*key{}, marks: map[string]mark{}, holders: map[string]*item{},
		batches: map[string]*batch{}, leased: map[*item]struct{}{}, moving: map[*item]struct{}{}, count: map[pipeline.ItemState]int64{},
		remains: map[string]remain{}, undecided: map[string]string{}, tombs: map[uint64]tomb{}, turns: turns{lanes: pipeline.AllLanes}}
}

// addItem reads an item's message.
func (r *replica) addItem(seq uint64, rec itemRecord) {
	x := &item{itemRecord: rec, seq: seq, lane: laneOf(rec.Key), st: stateRecord{State: pipeline.StateReady, NotBefore: rec.NotBefore}}
	if rec.First != nil {
		x.st, x.First = *rec.First, nil
	}
	subject := r.names.item(rec.ID)
	if rec.Batch == "" {
		r.show(x)
		return
	}
	b := r.batch(rec.Batch)
	switch {
	case !b.decided:
		b.begun(cmp.Or(rec.Came, rec.Enqueued))
		b.pending = append(b.pending, x)
		r.suspend(b, rec.Batch, subject, seq)
	case b.commits:
		r.show(x)
	default:
		r.leave(subject, seq)
	}
}

// show makes an item part of the queue. An earlier one of its id was dropped: its
// tombstone was replaced before it was read here.
func (r *replica) show(x *item) {
	if old := r.items[x.ID]; old != nil {
		r.enter(old, stateRecord{State: stateDropped, Ended: cmp.Or(x.Came, x.Enqueued)}, old.rev)
	}
	delete(r.remains, r.names.item(x.ID))
	r.items[x.ID] = x
	if holder := r.holders[x.Idem]; x.Idem != "" && (holder == nil || holder.seq < x.seq) {
		r.holders[x.Idem] = x
	}
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

// leave notes a message that nothing refers to any more.
func (r *replica) leave(subject string, seq uint64) {
	r.remains[subject] = remain{subject, seq, time.Now()}
}

// setPause reads whether the queue rests.
func (r *replica) setPause(seq uint64, rec pauseRecord) {
	if r.pausing = seq; r.paused && !rec.Paused {
		r.turns.wake()
	}
	r.paused = rec.Paused
}

// setState reads a transition, also one of this process before its message
// comes back: its condition said that nothing else of the item, or of its key,
// came in between.
func (r *replica) setState(seq uint64, rec stateRecord, id, keyName string) {
	if rec.State == pipeline.StateLeased && rec.Token == 0 {
		rec.Token = seq + rec.Floor
	}
	if k := r.keys[keyName]; keyName != "" && k != nil {
		k.last = max(k.last, seq)
	}
	x := r.items[id]
	switch {
	case x != nil && x.seq == rec.Item && seq > x.rev:
		r.enter(x, rec, seq)
	case x == nil && rec.State == stateDropped:
		r.tombs[seq] = tomb{seq, rec.Item, rec.Ended}
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
	delete(r.moving, x)
	x.st, x.rev, x.told = rec, seq, true
	if rec.Moving != nil {
		r.moving[x] = struct{}{}
	}
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
		r.tombs[x.rev] = tomb{x.rev, x.seq, x.st.Ended}
	}
	r.freeIdem(x)
	if x.Batch != "" {
		b := r.batch(x.Batch)
		if b.live--; b.live == 0 && !b.forever {
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
	if last > r.read.done() {
		return // not read yet: reading on tells more
	}
	switch {
	case x == nil && last == 0:
		delete(r.remains, c.subject)
	case x == nil:
		// The message there is known, and what it means: planning anew finds it.
	case x.key != nil:
		x.key.last = last
	case last < x.rev && x.told && !x.gone:
		r.enter(x, stateRecord{State: stateDropped, Ended: x.st.Ended}, x.rev) // only tombstones are deleted
	default:
		x.rev = last // the tombstone of an earlier item of this id, or none any more
	}
}
