package local

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

// Config is what a source is made of.
type Config struct {
	// URL names the source in errors.
	URL     string
	Options pipeline.QueueOptions
	Records Records
	// Journal is the checkpoint; nil without one.
	Journal *Journal
	// Letters keep what is dead.
	Letters *Letters
	// OnePass says that the input is read once from end to end: an id or an
	// idempotency key that comes again belongs to the first record that had it.
	// Endless inputs take care of that themselves.
	OnePass bool
	// Once says that nothing can be read again: what has not ended when the
	// source is closed is lost, and is named in the log.
	Once bool
}

// Source hands out the records of one input. The window has what was read and
// has not ended, in the order of the input.
type Source struct {
	Config

	mu        sync.Mutex
	window    []*entry
	exhausted bool
	token     int64
	ids, idem map[string]struct{} // given ones, so far; of one pass
	recent    []ack               // a ring
	closed    bool
}

var (
	_ pipeline.Source = (*Source)(nil)
	_ pipeline.Closer = (*Source)(nil)
)

type ack struct {
	id     string
	token  int64
	result pipeline.Result
	digest pipeline.Digest
}

// New returns a source. It owns the records, the journal and the letters.
func New(c Config) *Source {
	s := &Source{Config: c, ids: map[string]struct{}{}, idem: map[string]struct{}{}}
	if c.Journal != nil {
		s.token = c.Journal.claims
	}
	return s
}

// Claim hands out the next items of the input, given-back ones first.
func (s *Source) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &pipeline.Error{Kind: pipeline.Cancelled, Code: "closed", Err: fmt.Errorf("%s is closed", s.URL)}
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
func (s *Source) claim(max int, now time.Time) (out []*pipeline.Item, err error) {
	busy := map[string]bool{} // keys with an older item that has not ended
	try := func(e *entry) error {
		blocked := e.Item.Key != "" && busy[e.Item.Key]
		busy[e.Item.Key] = true
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
		e, again, err := s.read(now)
		if e != nil {
			s.window = append(s.window, e)
			err = try(e)
		}
		if err != nil || !again {
			return out, err
		}
	}
	return out, nil
}

// read takes the next record; nil if there is none now, or if it needs no work
// any more, which again tells.
func (s *Source) read(now time.Time) (e *entry, again bool, err error) {
	rec, err := s.Records.Next()
	if err == io.EOF {
		s.exhausted = true
		return nil, false, nil
	}
	if err != nil || rec == nil {
		return nil, false, err
	}
	e = &entry{Record: rec, id: rec.Item.ID, state: pipeline.StateReady, notBefore: rec.Item.NotBefore, read: now}
	if e.id == "" {
		e.id = rec.Where
	}
	if s.OnePass && s.seen(e) {
		return nil, true, nil
	}
	if s.Journal != nil {
		past := s.Journal.of(e.id)
		if past.ended {
			return nil, true, nil
		}
		e.attempts = past.attempts
		e.condemned = s.usedUp(e, past.open)
	}
	if e.Bad != nil {
		e.condemned = unreadable(e.Where, e.Bad)
	}
	return e, true, nil
}

// seen reports that an entry is the same work as an earlier one. One that only
// has the id of another is no item.
func (s *Source) seen(e *entry) bool {
	if e.Item.ID != "" && e.Bad == nil {
		if _, twice := s.ids[e.id]; twice {
			e.Bad = pipeline.Fail("duplicate-id", "an earlier line has the id %q too", e.id)
			e.id = e.Where
		}
		s.ids[e.Item.ID] = struct{}{}
	}
	if e.Bad != nil || e.Item.IdempotencyKey == "" {
		return false
	}
	_, known := s.idem[e.Item.IdempotencyKey]
	s.idem[e.Item.IdempotencyKey] = struct{}{}
	return known
}

// usedUp says that processes died in all attempts of an item, or nothing. One
// that was given back is the business of who gave it back.
func (s *Source) usedUp(e *entry, died bool) error {
	limit := e.Item.MaxAttempts
	if limit == 0 {
		limit = s.Options.MaxAttempts
	}
	if died && limit > 0 && e.attempts >= limit {
		return pipeline.AttemptsExhausted(e.attempts)
	}
	return nil
}

// lease hands out an entry; a condemned one as it is, and without an attempt.
func (s *Source) lease(e *entry) (*pipeline.Item, error) {
	body, err := e.content()
	if err != nil && e.condemned == nil {
		e.condemned = unreadable(e.Where, err)
	}
	did, counts := didClaim, 1
	if e.condemned != nil {
		did, counts = didCondemn, 0
	}
	if err := s.note(false, line{Did: did, ID: e.id}); err != nil {
		return nil, err
	}
	s.token++
	e.state, e.token, e.attempts = pipeline.StateLeased, s.token, e.attempts+counts
	it := &pipeline.Item{ID: e.id, Key: e.Item.Key, Queue: s.queue(), Priority: e.Item.Priority, Attempt: e.attempts, MaxAttempts: e.Item.MaxAttempts,
		Token: e.token, Enqueued: e.read, Deadline: e.Item.Deadline, Trace: e.Item.Trace, Body: body, Condemned: e.condemned}
	it.Input, _ = body.Bytes() // raw bytes: nothing to fail
	for name, value := range e.Item.Meta {
		it.SetMeta(name, value)
	}
	return it, nil
}

func (s *Source) queue() string {
	if s.Options.Queue == "" {
		return "default"
	}
	return s.Options.Queue
}

// Ack ends an item. With a checkpoint it is on disk when Ack returns.
func (s *Source) Ack(_ context.Context, it *pipeline.Item, o pipeline.Outcome) error {
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
		err = s.Letters.write(e, o.Cause)
	}
	if err == nil {
		err = s.note(true, line{Did: didEnd, ID: e.id, Result: o.Result, Digest: o.Digest, Data: e.Keep})
	}
	s.mu.Lock()
	if err != nil {
		e.state = pipeline.StateLeased
		s.mu.Unlock()
		return err
	}
	s.remove(e)
	s.recent = append(s.recent, ack{it.ID, it.Token, o.Result, o.Digest})
	if len(s.recent) > maxRecent {
		s.recent = s.recent[1:]
	}
	s.mu.Unlock()
	if e.Ended != nil {
		e.Ended(o)
	}
	return nil
}

// Nack gives an item back.
func (s *Source) Nack(_ context.Context, it *pipeline.Item, r pipeline.Release) error {
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
		if err := s.note(false, line{Did: did, ID: e.id}); err != nil {
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
func (s *Source) Renew(_ context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
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
func (s *Source) Lease() time.Duration { return 0 }

// Pending counts what was read and has not ended, and what is known to come.
func (s *Source) Pending(context.Context) (n int64, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.exhausted && !s.closed {
		n, next = s.Records.Coming()
	}
	n += int64(len(s.window))
	for _, e := range s.window {
		if at := e.due(); e.state == pipeline.StateReady && !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return n, next, nil
}

// Close ends the input and closes the files.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.Once {
		s.reportLost()
	}
	return errors.Join(s.Records.Close(), s.Letters.Close(), s.Journal.Close())
}

// maxNamed is how many items the log names one by one.
const maxNamed = 100

// reportLost names what goes with the process.
func (s *Source) reportLost() {
	for i, e := range s.window {
		if i == maxNamed {
			s.Options.Log.Warn("more items did not end and are lost", "source", s.URL, "items", len(s.window)-maxNamed)
			return
		}
		s.Options.Log.Warn("an item did not end and is lost: it cannot be read again", "source", s.URL, "item", e.id, "attempts", e.attempts)
	}
}

// leased returns the entry that this claim holds, or nil.
func (s *Source) leased(it *pipeline.Item) *entry {
	for _, e := range s.window {
		if e.id == it.ID && e.token == it.Token && e.state == pipeline.StateLeased {
			return e
		}
	}
	return nil
}

func (s *Source) lost(it *pipeline.Item) error {
	return fmt.Errorf("%s: item %s, attempt %d: %w", s.URL, it.ID, it.Attempt, pipeline.ErrLeaseLost)
}

// remove forgets an entry that has ended.
func (s *Source) remove(e *entry) {
	s.window = slices.DeleteFunc(s.window, func(o *entry) bool { return o == e })
}

// note writes to the journal, if there is one.
func (s *Source) note(durable bool, l line) error {
	if s.Journal == nil {
		return nil
	}
	return s.Journal.note(durable, l)
}
