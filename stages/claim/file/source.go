package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// maxWindow bounds how far the source reads ahead of an item that cannot
	// go on: one of a busy key, a delayed one.
	maxWindow = 1024
	// maxRecent is how many acknowledgements are remembered, to tell a repeated
	// one from a stale one.
	maxRecent = 1024
)

// source hands out the records of one input. The window has what was read and
// has not ended, in the order of the input.
type source struct {
	in      input
	opt     pipeline.QueueOptions
	records records
	journal *journal // nil without a checkpoint
	dead    *letters

	mu        sync.Mutex
	window    []*entry
	exhausted bool
	token     int64
	ids, idem map[string]struct{} // given ones, so far
	recent    []ack               // a ring
	broken    error               // the input cannot be read on
	closed    bool
}

var _ pipeline.Source = (*source)(nil)

type ack struct {
	id     string
	token  int64
	result pipeline.Result
	digest pipeline.Digest
}

func newSource(in input, o pipeline.QueueOptions, r records) *source {
	return &source{in: in, opt: o, records: r, ids: map[string]struct{}{}, idem: map[string]struct{}{}}
}

// openSideFiles opens the checkpoint, and names the dead letters.
func (s *source) openSideFiles() error {
	s.dead = &letters{path: deadPath(s.in, s.opt.Checkpoint), log: s.opt.Log}
	if s.opt.Checkpoint == "" {
		return nil
	}
	j, err := openJournal(resolve(s.in.dir, s.opt.Checkpoint), header{Input: s.in.url, Format: s.in.format})
	if err != nil {
		return err
	}
	s.journal, s.token = j, j.claims
	return nil
}

// Claim hands out the next items of the input, given-back ones first.
func (s *source) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &pipeline.Error{Kind: pipeline.Cancelled, Code: "closed", Err: fmt.Errorf("%s is closed", s.in.url)}
	}
	out, err := s.claim(max, time.Now())
	switch {
	case len(out) > 0:
		return out, nil // an error stays, and is told next time
	case err != nil:
		return nil, err
	case s.exhausted && len(s.window) == 0:
		return nil, io.EOF
	}
	return nil, nil
}

// claim walks the window, then reads on. The caller holds the lock.
func (s *source) claim(max int, now time.Time) (out []*pipeline.Item, err error) {
	busy := map[string]bool{} // keys with an older item that has not ended
	try := func(e *entry) error {
		blocked := e.item.Key != "" && busy[e.item.Key]
		busy[e.item.Key] = true
		if e.state != pipeline.StateReady {
			return nil
		}
		if e.condemned == nil {
			e.condemned = e.late(now)
		}
		if blocked || e.condemned == nil && e.notBefore.After(now) {
			return nil
		}
		it, err := s.lease(e)
		if err == nil {
			out = append(out, it)
		}
		return err
	}
	for _, e := range slices.Clone(s.window) {
		if len(out) == max {
			return out, nil
		}
		if err := try(e); err != nil {
			return out, err
		}
	}
	for len(out) < max && len(s.window) < maxWindow && !s.exhausted {
		e, err := s.read(now)
		if e != nil {
			s.window = append(s.window, e)
			err = try(e)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// read takes the next record; nil if it needs no work any more.
func (s *source) read(now time.Time) (*entry, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	rec, err, ok := s.records.next()
	if !ok {
		s.exhausted = true
		return nil, nil
	}
	if err != nil {
		s.broken = pipeline.Fail("bad-input", "%s: %w", s.in.url, err)
		return nil, s.broken
	}
	e := &entry{record: rec, id: rec.item.ID, state: pipeline.StateReady, notBefore: rec.item.NotBefore, read: now}
	if e.id == "" {
		e.id = rec.where
	} else if rec.bad == nil {
		if _, twice := s.ids[e.id]; twice {
			e.bad = pipeline.Fail("duplicate-id", "an earlier line has the id %q too", e.id)
			e.id = rec.where
		}
		s.ids[e.id] = struct{}{}
	}
	if e.bad == nil && rec.item.IdempotencyKey != "" {
		if _, known := s.idem[rec.item.IdempotencyKey]; known {
			return nil, nil
		}
		s.idem[rec.item.IdempotencyKey] = struct{}{}
	}
	if s.journal != nil {
		past := s.journal.past[e.id]
		if past.ended {
			return nil, nil
		}
		e.attempts = past.attempts
		e.condemned = s.usedUp(e, past.open)
	}
	if e.bad != nil {
		e.condemned = unreadable(e.where, e.bad)
	}
	return e, nil
}

// usedUp says that processes died in all attempts of an item, or nothing. One
// that was given back is the business of who gave it back.
func (s *source) usedUp(e *entry, died bool) error {
	limit := e.item.MaxAttempts
	if limit == 0 {
		limit = s.opt.MaxAttempts
	}
	if died && limit > 0 && e.attempts >= limit {
		return pipeline.AttemptsExhausted(e.attempts)
	}
	return nil
}

// lease hands out an entry; a condemned one as it is, and without an attempt.
func (s *source) lease(e *entry) (*pipeline.Item, error) {
	body, err := e.content()
	if err != nil && e.condemned == nil {
		e.condemned = unreadable(e.where, err)
	}
	did, counts := didClaim, 1
	if e.condemned != nil {
		did, counts = didCondemn, 0
	}
	if err := s.note(journalLine{Did: did, ID: e.id}, false); err != nil {
		return nil, err
	}
	s.token++
	e.state, e.token, e.attempts = pipeline.StateLeased, s.token, e.attempts+counts
	it := &pipeline.Item{ID: e.id, Key: e.item.Key, Queue: s.queue(), Priority: e.item.Priority, Attempt: e.attempts, MaxAttempts: e.item.MaxAttempts,
		Token: e.token, Enqueued: e.read, Deadline: e.item.Deadline, Trace: e.item.Trace, Body: body, Condemned: e.condemned}
	it.Input, _ = body.Bytes() // raw bytes: nothing to fail
	for name, value := range e.item.Meta {
		it.SetMeta(name, value)
	}
	return it, nil
}

func (s *source) queue() string {
	if s.opt.Queue == "" {
		return "default"
	}
	return s.opt.Queue
}

// Ack ends an item. With a checkpoint it is on disk when Ack returns.
func (s *source) Ack(_ context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	s.mu.Lock()
	e := s.leased(it)
	if e == nil {
		defer s.mu.Unlock()
		if slices.Contains(s.recent, ack{it.ID, it.Token, o.Result, o.Digest}) {
			return nil
		}
		return s.lost(it)
	}
	// Nobody else finds the entry while the disk is at work.
	e.state = pipeline.StateDone
	s.mu.Unlock()
	var err error
	if o.Result == pipeline.Dead {
		err = s.dead.write(e, o.Cause)
	}
	if err == nil {
		err = s.note(journalLine{Did: didEnd, ID: e.id, Result: o.Result, Digest: o.Digest}, true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		e.state = pipeline.StateLeased
		return err
	}
	s.remove(e)
	s.recent = append(s.recent, ack{it.ID, it.Token, o.Result, o.Digest})
	if len(s.recent) > maxRecent {
		s.recent = s.recent[1:]
	}
	return nil
}

// Nack gives an item back.
func (s *source) Nack(_ context.Context, it *pipeline.Item, r pipeline.Release) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.leased(it)
	if e == nil {
		return s.lost(it)
	}
	if it.Condemned == nil { // else there was no attempt
		did, refund := didRetry, 0
		if r.Refund {
			did, refund = didRefund, 1
		}
		if err := s.note(journalLine{Did: did, ID: e.id}, false); err != nil {
			return err
		}
		e.attempts -= refund
	}
	e.state, e.notBefore = pipeline.StateReady, time.Time{}
	if r.After > 0 {
		e.notBefore = time.Now().Add(r.After)
	}
	return nil
}

// Renew reports which items are not held any more; claims do not expire.
func (s *source) Renew(_ context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		if s.leased(it) == nil {
			lost = append(lost, it)
		}
	}
	return lost, nil
}

// Lease returns 0: the process that claimed is the only one there is.
func (s *source) Lease() time.Duration { return 0 }

// Pending counts what was read and has not ended, and one more if there is
// more to read: a one-shot input is not counted ahead.
func (s *source) Pending(context.Context) (n int64, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = int64(len(s.window))
	if !s.exhausted {
		n++
	}
	for _, e := range s.window {
		if at := e.due(); e.state == pipeline.StateReady && !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return n, next, nil
}

// Close closes the files.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.records.stop()
	return errors.Join(s.records.close(), s.dead.close(), s.journal.close())
}

// leased returns the entry that this claim holds, or nil.
func (s *source) leased(it *pipeline.Item) *entry {
	for _, e := range s.window {
		if e.id == it.ID && e.token == it.Token && e.state == pipeline.StateLeased {
			return e
		}
	}
	return nil
}

func (s *source) lost(it *pipeline.Item) error {
	return fmt.Errorf("%s: item %s, attempt %d: %w", s.in.url, it.ID, it.Attempt, pipeline.ErrLeaseLost)
}

// remove forgets an entry that has ended.
func (s *source) remove(e *entry) {
	s.window = slices.DeleteFunc(s.window, func(o *entry) bool { return o == e })
}

// note writes to the journal, if there is one.
func (s *source) note(l journalLine, durable bool) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.write(l, durable)
}
