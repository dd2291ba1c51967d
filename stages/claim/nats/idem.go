package nats

import "github.com/waybill-dev/waybill/pipeline"

// mark is the last message on an idempotency key's subject: what the next writer
// of the key must have seen. Whose the key is, its last item says.
type mark struct {
	seq   uint64
	batch string
}

// addIdem reads an idempotency key's message.
func (r *replica) addIdem(seq uint64, rec idemRecord) {
	b, m := r.batch(rec.Batch), mark{seq, rec.Batch}
	if b.decided && !b.commits {
		r.unmark(rec.Idem, m)
		return
	}
	delete(r.remains, r.names.idem(rec.Idem))
	r.marks[rec.Idem] = m
	if !b.decided {
		b.begun(rec.At)
		b.idems = append(b.idems, rec.Idem)
		r.suspend(b, rec.Batch, r.names.idem(rec.Idem), seq)
	}
}

// unmark reads that the last message of a key was of a call that has not
// happened. It stays while an item has the key: a process that knows nothing of
// that item must not find the subject empty.
func (r *replica) unmark(idem string, m mark) {
	if r.holders[idem] != nil {
		delete(r.remains, r.names.idem(idem))
		r.marks[idem] = m
		return
	}
	delete(r.marks, idem)
	r.leave(r.names.idem(idem), m.seq)
}

// freeIdem frees the idempotency key of an item that is gone.
func (r *replica) freeIdem(x *item) {
	if x.Idem == "" || r.holders[x.Idem] != x {
		return
	}
	delete(r.holders, x.Idem)
	if m, ok := r.marks[x.Idem]; ok && !r.open(m.batch) {
		delete(r.marks, x.Idem)
		r.leave(r.names.idem(x.Idem), m.seq)
	}
}

// holdsIdem reports whether the item's idempotency key is still its own, unless
// another item has it meanwhile.
func (x *item) holdsIdem(now int64) bool {
	return (x.IdemUntil == 0 || now < x.IdemUntil) && !(x.IdemActive && ended(x.st.State))
}

// lastIdem returns the sequence of the last message on a key's subject.
func (r *replica) lastIdem(idem string) uint64 {
	if m, ok := r.marks[idem]; ok {
		return m.seq
	}
	return r.remains[r.names.idem(idem)].seq
}

// heldIdem returns the idempotency key that the item has now, or nothing.
func (r *replica) heldIdem(x *item, now int64) string {
	if x.Idem == "" || r.holders[x.Idem] != x || !x.holdsIdem(now) {
		return ""
	}
	return x.Idem
}

// scope returns what the enqueue said about the key's life.
func (x *item) scope() string {
	if x.IdemActive {
		return pipeline.ScopeActive
	}
	return ""
}
