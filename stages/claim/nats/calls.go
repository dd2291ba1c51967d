package nats

import (
	"cmp"
	"slices"
	"time"
)

// batch is a call that takes several messages.
type batch struct {
	seen     int64 // server's time of its latest message
	pending  []*item
	idems    []string
	subjects []remain // of its messages, for an undo
	decided  bool
	commits  bool
	forever  bool   // the decision stays
	seq      uint64 // of the decision
	live     int    // how many of its items are still there
}

func (r *replica) batch(name string) *batch {
	b := r.batches[name]
	if b == nil {
		b = &batch{}
		r.batches[name] = b
	}
	return b
}

// open reports whether a batch is not decided yet.
func (r *replica) open(name string) bool {
	b := r.batches[name]
	return b != nil && !b.decided
}

// begun notes when a message of a batch was made.
func (b *batch) begun(at int64) { b.seen = max(b.seen, at) }

// suspend notes a message of a batch that is not decided.
func (r *replica) suspend(b *batch, name, subject string, seq uint64) {
	b.subjects = append(b.subjects, remain{subject: subject, seq: seq})
	r.undecided[subject] = name
	delete(r.remains, subject)
}

// decide reads whether a batch has happened.
func (r *replica) decide(seq uint64, rec batchRecord) {
	b := r.batch(rec.Batch)
	if b.decided {
		return
	}
	b.decided, b.commits, b.forever, b.seq = true, rec.Committed, rec.Forever, seq
	r.floor = max(r.floor, rec.Floor)
	for _, m := range b.subjects {
		delete(r.undecided, m.subject)
	}
	if b.commits {
		r.showAll(b.pending)
	} else {
		r.undo(b, rec)
	}
	b.pending, b.subjects, b.idems = nil, nil, nil
}

func (r *replica) showAll(pending []*item) {
	for _, x := range pending {
		r.show(x)
	}
	// Items of other calls may have come in between.
	if n := len(r.order) - len(pending); n > 0 && len(pending) > 0 && r.order[n-1].seq > pending[0].seq {
		slices.SortFunc(r.order, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
	}
}

func (r *replica) undo(b *batch, rec batchRecord) {
	if !b.forever {
		r.tombs[b.seq] = tomb{b.seq, b.seq, rec.At} // it stays for a decision that comes late
	}
	for _, m := range b.subjects {
		r.leave(m.subject, m.seq)
	}
	for _, idem := range b.idems {
		if m := r.marks[idem]; m.batch == rec.Batch {
			r.unmark(idem, m)
		}
	}
}

// overdue reports whether the batch should have been decided before.
func (b *batch) overdue(now int64, grace time.Duration) bool {
	return !b.decided && b.seen > 0 && now-b.seen > grace.Milliseconds()
}
