package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// arrival is an item that comes from elsewhere: its record, its meta data and
// body, where it stands, and what happened to it.
type arrival struct {
	rec     itemRecord
	data    []byte
	first   stateRecord
	history []pipeline.Event
}

// pageSize is how many items are in memory at a time with all that they have.
const pageSize = 64

// arrive writes n items as one call, a page at a time. A conflict means that
// nothing was written that counts.
func (q *Queue) arrive(ctx context.Context, batch string, n int, load func(i int) (arrival, error)) error {
	decision := batchRecord{Batch: batch, Committed: true, Forever: true}
	for from := 0; from < n; from += pageSize {
		page := make([]arrival, min(pageSize, n-from))
		errs := make([]error, len(page))
		each(len(page), func(i int) { page[i], errs[i] = load(from + i) })
		err := errors.Join(errs...)
		if err == nil {
			err = q.arrivePage(ctx, batch, page, &decision.Floor)
		}
		if err != nil {
			return q.undo(ctx, batch, err)
		}
	}
	return q.decide(ctx, decision)
}

func (q *Queue) arrivePage(ctx context.Context, batch string, page []arrival, floor *uint64) error {
	p := plan{batch: batch}
	now := q.clock.now()
	for i := range page {
		a := &page[i]
		*floor = max(*floor, a.first.Token)
		data, err := a.pack(q.conn.MaxPayload() - headerRoom)
		if err != nil {
			return fmt.Errorf("item %s: %w", a.rec.ID, err)
		}
		a.rec.Came, a.rec.First = now, &a.first
		q.replica.mu.Lock()
		err = q.planRecord(&p, a.rec, data, now)
		q.replica.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return q.publishAll(ctx, p.writes)
}

// pack returns the data of the item's message, without the oldest events if all
// of them are too large for one.
func (a *arrival) pack(room int64) ([]byte, error) {
	for a.history = lastEvents(a.history); ; a.history = a.history[1:] {
		var history []byte
		if len(a.history) > 0 {
			var err error
			if history, err = json.Marshal(a.history); err != nil {
				return nil, err
			}
		}
		if int64(len(a.data)+len(history)) > room {
			if len(a.history) > 0 {
				continue
			}
			return nil, pipeline.Fail("body-too-large", "it has %d bytes, the server takes %d", len(a.data), room).
				WithHint("set max_payload: 2MB in the server's configuration")
		}
		a.first.Events, a.rec.History = len(a.history), len(history)
		return append(a.data[:len(a.data):len(a.data)], history...), nil
	}
}

// Export calls yield for each entry that the queue had when the call began and
// still has when its turn comes, oldest first.
func (q *Queue) Export(ctx context.Context, f pipeline.Filter, yield func(pipeline.Entry) error) error {
	if err := q.catchUp(ctx); err != nil {
		return q.fail("export", err)
	}
	q.replica.mu.Lock()
	all := q.replica.selected(f, q.clock.now(), f.Limit, nil)
	q.replica.mu.Unlock()
	for len(all) > 0 {
		n := min(len(all), pageSize)
		page, errs := make([]pipeline.Entry, n), make([]error, n)
		each(n, func(i int) { page[i], errs[i] = q.whole(ctx, func() *item { return all[i] }) })
		for i, err := range errs {
			if errors.Is(err, pipeline.ErrNotFound) {
				continue // it was dropped
			}
			if err != nil {
				return q.fail("export", err)
			}
			if err := yield(page[i]); err != nil {
				return err
			}
		}
		all = all[n:]
	}
	return nil
}

// Import adds entries in their order, as one call. Their tokens stay behind those
// of coming claims.
func (q *Queue) Import(ctx context.Context, entries []pipeline.Entry) (int, error) {
	if err := q.catchUp(ctx); err != nil {
		return 0, q.fail("import", err)
	}
	all, ids := make([]arrival, len(entries)), map[string]bool{}
	for i := range entries {
		id := entries[i].ID
		if ids[id] {
			return 0, fmt.Errorf("entry %d: %w", i+1, pipeline.Fail("duplicate-id", "the id %q is there twice", id))
		}
		ids[id] = true
		var err error
		if all[i], err = imported(&entries[i]); err != nil {
			return 0, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	n, err := q.importAll(context.WithoutCancel(ctx), all)
	return n, q.fail("import", err)
}

func (q *Queue) importAll(ctx context.Context, all []arrival) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for ctx.Err() == nil {
		missing, undecided := q.missing(all)
		if len(missing) == 0 && len(undecided) == 0 {
			return 0, nil
		}
		var err error
		if len(undecided) > 0 {
			err = q.decideFor(ctx, undecided)
		} else {
			err = q.arrive(ctx, strings.ToLower(rand.Text()), len(missing), func(i int) (arrival, error) { return missing[i], nil })
			if err == nil {
				return len(missing), nil
			}
		}
		var refused conflict
		if err != nil && !errors.As(err, &refused) {
			return 0, err
		}
		if err := q.barrier(ctx); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("ids are fought over: %w", ctx.Err())
}

// missing returns the arrivals whose id the queue does not have, without the
// idempotency keys that it knows, and the calls of others that may bring either.
func (q *Queue) missing(all []arrival) (out []arrival, undecided []string) {
	r, now := q.replica, q.clock.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := map[string]bool{"": true}
	for _, a := range all {
		for _, subject := range []string{r.names.item(a.rec.ID), r.names.idem(a.rec.Idem)} {
			if b := r.undecided[subject]; b != "" {
				undecided = append(undecided, b)
			}
		}
		if r.items[a.rec.ID] != nil {
			continue
		}
		if x := r.holders[a.rec.Idem]; taken[a.rec.Idem] || x != nil && x.holdsIdem(now) {
			a.rec.Idem = ""
		}
		taken[a.rec.Idem] = true
		out = append(out, a)
	}
	return out, undecided
}

// imported reads an entry: a leased one is ready again.
func imported(e *pipeline.Entry) (arrival, error) {
	it := pipeline.NewItem{ID: e.ID, Key: e.Key, Priority: e.Priority, Body: e.Body, Meta: e.Meta, MaxAttempts: e.MaxAttempts,
		IdempotencyKey: e.IdempotencyKey, IdempotencyScope: e.IdempotencyScope}
	err := it.Validate()
	if err == nil {
		err = checkEntry(e)
	}
	if err != nil {
		return arrival{}, err
	}
	data, err := encode(&it)
	if err != nil {
		return arrival{}, err
	}
	a := arrival{data: data.data, history: e.History, rec: itemRecord{ID: e.ID, Key: e.Key, Priority: e.Priority, MaxAttempts: e.MaxAttempts,
		Idem: e.IdempotencyKey, IdemActive: e.IdempotencyScope == pipeline.ScopeActive, IdemUntil: millis(e.IdempotencyUntil),
		Enqueued: millis(e.Enqueued), NotBefore: millis(e.NotBefore), Deadline: millis(e.Deadline), Trace: e.Trace,
		Meta: data.meta, Body: len(data.data) - data.meta}}
	a.first = stateRecord{State: e.State, Attempts: e.Attempts, Token: uint64(e.Token), NotBefore: millis(e.NotBefore), Cancelled: e.Cancelled}
	if e.State == pipeline.StateLeased {
		a.first.State = pipeline.StateReady
	}
	if ended(e.State) {
		a.first.Owner, a.first.Ended, a.first.Result, a.first.Digest = e.Owner, millis(e.Ended), e.Result, e.Digest
	}
	return a, nil
}

func ended(s pipeline.ItemState) bool { return s == pipeline.StateDone || s == pipeline.StateDead }

// maxImportedToken bounds an imported token: later ones are above it.
const maxImportedToken = 1 << 62

// checkEntry reports what no queue could have exported.
func checkEntry(e *pipeline.Entry) error {
	switch {
	case e.ID == "":
		return pipeline.Fail("bad-entry", "it has no id")
	case e.Attempts < 0 || e.Token < 0 || e.Token > maxImportedToken:
		return pipeline.Fail("bad-entry", "item %s: attempts %d and token %d: want 0 or more, a token of at most 2^62", e.ID, e.Attempts, e.Token)
	case e.State != pipeline.StateReady && e.State != pipeline.StateLeased && !ended(e.State):
		return pipeline.Fail("bad-entry", "item %s: the state %q is unknown", e.ID, e.State)
	case e.Result != "" && ended(e.State) && (e.Result == pipeline.Dead) != (e.State == pipeline.StateDead):
		return pipeline.Fail("bad-entry", "item %s: a %s item has not ended as %q", e.ID, e.State, e.Result)
	}
	return nil
}
