package pipelinetest

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// Source is a queue in memory. It follows the claim protocol: attempts are
// counted in the claim, each claim has a larger fencing token, an expired lease
// makes an item claimable again, items of one key run one at a time, and a
// stale token is pipeline.ErrLeaseLost. Time is time.Now, so that it runs in a
// testing/synctest bubble.
type Source struct {
	lease time.Duration

	mu      sync.Mutex
	entries []*sourceEntry
	ended   []Ended
	given   []Given
	renewed int
}

// Ended is one acknowledgement that a Source took.
type Ended struct {
	Item    *pipeline.Item
	Outcome pipeline.Outcome
}

// Given is one release that a Source took.
type Given struct {
	ID      string
	Attempt int
	Release pipeline.Release
}

type sourceEntry struct {
	item     *pipeline.Item
	attempts int
	token    int64
	ready    time.Time // not before
	until    time.Time // end of the lease; zero: not leased
	done     bool
}

// NewSource returns a source with these items and a lease of 30 s. It owns the
// items; claims hand out copies.
func NewSource(items ...*pipeline.Item) *Source {
	s := &Source{lease: 30 * time.Second}
	s.Add(items...)
	return s
}

// WithLease sets the length of a lease and returns s; 0 means for ever.
func (s *Source) WithLease(d time.Duration) *Source {
	s.lease = d
	return s
}

// Add puts items into the queue.
func (s *Source) Add(items ...*pipeline.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		s.entries = append(s.entries, &sourceEntry{item: it})
	}
}

// Ended returns all acknowledgements so far, in order.
func (s *Source) Ended() []Ended {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ended)
}

// Given returns all releases so far, in order.
func (s *Source) Given() []Given {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.given)
}

// Renewals returns how many leases were extended so far.
func (s *Source) Renewals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

// Expire ends the lease of an item at once, as if its time had passed.
func (s *Source) Expire(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.item.ID == id && !e.until.IsZero() {
			e.until = time.Now().Add(-time.Nanosecond)
		}
	}
}

// Claim implements pipeline.Source: highest priority first, then oldest. It
// returns io.EOF when every item has ended.
func (s *Source) Claim(ctx context.Context, max int) ([]*pipeline.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var open []*sourceEntry
	busy := map[string]bool{}
	for _, e := range s.entries {
		if !e.done {
			open = append(open, e)
		}
		if !e.done && e.leased(now) && e.item.Key != "" {
			busy[e.item.Key] = true
		}
	}
	if len(open) == 0 {
		return nil, io.EOF
	}
	slices.SortStableFunc(open, func(a, b *sourceEntry) int { return cmp.Compare(b.item.Priority, a.item.Priority) })
	var out []*pipeline.Item
	for _, e := range open {
		if len(out) == max || e.leased(now) || e.ready.After(now) || busy[e.item.Key] {
			continue
		}
		if e.item.Key != "" {
			busy[e.item.Key] = true
		}
		out = append(out, e.claim(now, s.lease))
	}
	return out, nil
}

func (e *sourceEntry) leased(now time.Time) bool { return e.until.After(now) }

func (e *sourceEntry) claim(now time.Time, lease time.Duration) *pipeline.Item {
	e.attempts++
	e.token++
	if e.until = now.Add(lease); lease == 0 {
		e.until = now.AddDate(100, 0, 0)
	}
	it := *e.item
	it.Attempt, it.Token = e.attempts, e.token
	it.Meta = make(map[string]string, len(e.item.Meta))
	for k, v := range e.item.Meta {
		it.Meta[k] = v
	}
	it.Artifacts = slices.Clone(e.item.Artifacts)
	it.Input, _ = it.Body.Bytes()
	return &it
}

// holder returns the entry of an item whose token is the current one and whose
// lease has not ended.
func (s *Source) holder(it *pipeline.Item) *sourceEntry {
	for _, e := range s.entries {
		if e.item.ID == it.ID && e.token == it.Token && !e.done && e.leased(time.Now()) {
			return e
		}
	}
	return nil
}

// Ack implements pipeline.Source.
func (s *Source) Ack(ctx context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.holder(it)
	if e == nil {
		return pipeline.ErrLeaseLost
	}
	e.done, e.until = true, time.Time{}
	s.ended = append(s.ended, Ended{it, o})
	return nil
}

// Nack implements pipeline.Source.
func (s *Source) Nack(ctx context.Context, it *pipeline.Item, r pipeline.Release) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.holder(it)
	if e == nil {
		return pipeline.ErrLeaseLost
	}
	e.ready, e.until = time.Now().Add(r.After), time.Time{}
	if r.Refund {
		e.attempts--
	}
	s.given = append(s.given, Given{it.ID, it.Attempt, r})
	return nil
}

// Renew implements pipeline.Source.
func (s *Source) Renew(ctx context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		e := s.holder(it)
		if e == nil {
			lost = append(lost, it)
			continue
		}
		s.renewed++
		if s.lease > 0 {
			e.until = time.Now().Add(s.lease)
		}
	}
	return lost, nil
}

// Lease implements pipeline.Source.
func (s *Source) Lease() time.Duration { return s.lease }

// Pending implements pipeline.Source.
func (s *Source) Pending(ctx context.Context) (n int64, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, e := range s.entries {
		if e.done {
			continue
		}
		n++
		if e.ready.After(now) && (next.IsZero() || e.ready.Before(next)) {
			next = e.ready
		}
	}
	return n, next, nil
}

// SourceDef is the definition of a stage "source" that is s.
func SourceDef(s pipeline.Source) pipeline.Def {
	return pipeline.Define("source", "hands out items of a test", struct{}{},
		func(context.Context, struct{}, pipeline.Env) (pipeline.Source, error) { return s, nil })
}

var _ pipeline.Source = (*Source)(nil)
