package claimtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// What a note is about.
const (
	opPoint   = "point" // the process dies, or would if it were asked to
	opOver    = "over"  // the script is at its end
	opEnqueue = "enqueue"
	opClaim   = "claim"
	opRenew   = "renew"
	opAck     = "ack"
	opNack    = "nack"
	opRetry   = "retry"
	// opRetryOlder is a retry while a younger item of the key is ready or leased.
	opRetryOlder = "retry of an older one"
	opCancel     = "cancel"
	opDrop       = "drop"
	opMove       = "move"
	opImport     = "import"
	opPause      = "pause"
	opCompact    = "compact"
	opWrite      = "write"
	opDelete     = "delete"
)

// elsewhere is the queue that items are moved to.
const elsewhere = "other"

// note is a line of a process's diary: a call that it is about to make, and the
// same line once more, done, when the call has returned.
type note struct {
	Op     string          `json:"op"`
	Done   bool            `json:"done,omitempty"`
	IDs    []string        `json:"ids,omitempty"`
	Tokens []int64         `json:"tokens,omitempty"` // of a claim that is done
	Result pipeline.Result `json:"result,omitempty"`
	Refund bool            `json:"refund,omitempty"`
	Name   string          `json:"name,omitempty"`  // of a record or point
	Value  string          `json:"value,omitempty"` // of a record
	Paused bool            `json:"paused,omitempty"`
}

// script is everything that a process can do to a queue, one call at a time, so
// that at its death at most one is half-way.
type script struct {
	q      pipeline.Queue
	out    *json.Encoder
	during *atomic.Value // string: the call under way, "" between two
	held   map[string]*pipeline.Item
	err    error
}

func (s *script) run() error {
	s.held = map[string]*pipeline.Item{}
	s.work()
	s.operate(s.q)
	s.share(s.q)
	if s.err == nil {
		s.err = s.q.Close()
	}
	if s.err == nil {
		s.err = s.out.Encode(note{Op: opOver})
	}
	return s.err
}

// work is what pipelines do, and retry and drop.
func (s *script) work() {
	s.enqueue(pipeline.NewItem{ID: "a1", Key: "a"}, pipeline.NewItem{ID: "a2", Key: "a", IdempotencyKey: "x"},
		pipeline.NewItem{ID: "b1", Key: "b"}, pipeline.NewItem{ID: "c1"})
	s.enqueue(pipeline.NewItem{ID: "a3", Key: "a", Priority: 9})
	s.enqueue(pipeline.NewItem{ID: "d1", IdempotencyKey: "y", IdempotencyScope: pipeline.ScopeActive})
	s.claim("a1", "b1", "c1", "d1")
	s.renew("a1", "b1", "c1", "d1")
	s.ack("a1", pipeline.Succeeded)
	s.ack("b1", pipeline.Dead)
	s.ack("c1", pipeline.Dead)
	s.ack("d1", pipeline.Skipped)
	s.claim("a2")
	s.nack("a2", pipeline.Release{Refund: true})
	s.claim("a2")
	s.nack("a2", pipeline.Release{After: time.Hour, Cause: pipeline.Again("later", "not now")})
	s.many(opRetry, s.q.Retry, "b1", "c1")
	s.claim("b1", "c1")
	s.ack("b1", pipeline.Succeeded)
	s.ack("c1", pipeline.Dropped)
	s.many(opDrop, s.q.Drop, "a2") // a3 has its turn now
	s.claim("a3")
	s.ack("a3", pipeline.Succeeded)
	s.enqueue(pipeline.NewItem{ID: "r1", Key: "r"}, pipeline.NewItem{ID: "r2", Key: "r"})
	s.claim("r1")
	s.ack("r1", pipeline.Dead)
	s.many(opRetryOlder, s.q.Retry, "r1") // before r2, which could be claimed
	s.claim("r1")
	s.many(opCancel, s.q.Cancel, "r1")
	s.claim("r1")
	s.ack("r1", pipeline.Dead)
	s.claim("r2")
	s.many(opRetryOlder, s.q.Retry, "r1") // behind r2, which is leased
	s.ack("r2", pipeline.Succeeded)
	s.claim("r1")
	s.ack("r1", pipeline.Succeeded)
}

// operate is what operators do.
func (s *script) operate(tools pipeline.QueueTools) {
	s.enqueue(pipeline.NewItem{ID: "e1", Key: "e"}, pipeline.NewItem{ID: "e2", Key: "e"}, pipeline.NewItem{ID: "e3", Key: "e"},
		pipeline.NewItem{ID: "f1", Key: "f", IdempotencyKey: "z"}, pipeline.NewItem{ID: "f2", Key: "f"}, pipeline.NewItem{ID: "h1"})
	s.claim("e1", "f1", "h1")
	s.many(opCancel, tools.Cancel, "e1", "e3") // one is ours, one waits for its turn
	s.claim("e1")
	s.ack("e1", pipeline.Dead)
	s.claim("e2")
	s.ack("e2", pipeline.Succeeded)
	s.nack("f1", pipeline.Release{})
	s.many(opMove, func(ctx context.Context, f pipeline.Filter) (int, error) { return tools.Move(ctx, f, elsewhere) }, "f1", "f2")
	s.call(note{Op: opPause, Paused: true}, func(ctx context.Context, _ *note) error { return tools.Pause(ctx, true) })
	s.call(note{Op: opPause}, func(ctx context.Context, _ *note) error { return tools.Pause(ctx, false) })
	s.call(note{Op: opImport, IDs: []string{"g1", "g2", "g3", "g4"}}, func(ctx context.Context, n *note) error {
		_, err := tools.Import(ctx, imported(n.IDs))
		return err
	})
	s.ack("h1", pipeline.Succeeded)
	s.call(note{Op: opCompact}, func(ctx context.Context, _ *note) error {
		_, err := tools.Compact(ctx, 0)
		return err
	})
}

// imported are entries of another store: two of one key that wait, one that
// succeeded and one that is dead.
func imported(ids []string) []pipeline.Entry {
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	out := make([]pipeline.Entry, len(ids))
	for i, id := range ids {
		out[i] = pipeline.Entry{ID: id, Queue: "afar", State: pipeline.StateReady, Enqueued: at}
	}
	out[0].Key, out[1].Key = "g", "g"
	out[2].State, out[2].Result, out[2].Ended = pipeline.StateDone, pipeline.Succeeded, at
	out[3].State, out[3].Result, out[3].Ended = pipeline.StateDead, pipeline.Dead, at
	return out
}

// share is what processes tell each other.
func (s *script) share(records pipeline.Records) {
	var rev int64
	write := func(value string) {
		s.call(note{Op: opWrite, Name: "points/r", Value: value}, func(ctx context.Context, n *note) (err error) {
			rev, err = records.WriteRecord(ctx, n.Name, []byte(n.Value), rev, 0)
			return err
		})
	}
	write("one")
	write("two")
	s.call(note{Op: opDelete, Name: "points/r"}, func(ctx context.Context, n *note) error { return records.DeleteRecord(ctx, n.Name, rev) })
	rev = 0
	write("three")
}

// call makes one call between its two notes. After an error there is no other.
func (s *script) call(n note, f func(ctx context.Context, n *note) error) {
	if s.err == nil {
		s.err = s.out.Encode(n)
	}
	if s.err != nil {
		return
	}
	s.during.Store(n.Op)
	defer s.during.Store("")
	if err := f(context.Background(), &n); err != nil {
		s.err = fmt.Errorf("%s %v: %w", n.Op, n.IDs, err)
		return
	}
	n.Done = true
	s.err = s.out.Encode(n)
}

func (s *script) enqueue(items ...pipeline.NewItem) {
	n := note{Op: opEnqueue}
	for _, it := range items {
		n.IDs = append(n.IDs, it.ID)
	}
	s.call(n, func(ctx context.Context, _ *note) error {
		_, err := s.q.Enqueue(ctx, items)
		return err
	})
}

// claim expects these items, which are all that are claimable.
func (s *script) claim(ids ...string) {
	s.call(note{Op: opClaim, IDs: ids}, func(ctx context.Context, n *note) error {
		var got []string
		items, err := s.q.Claim(ctx, len(ids))
		for _, it := range items {
			s.held[it.ID] = it
			got, n.Tokens = append(got, it.ID), append(n.Tokens, it.Token)
		}
		n.IDs = slices.Clone(got)
		if slices.Sort(got); err == nil && !slices.Equal(got, ids) {
			err = fmt.Errorf("got %v", got)
		}
		return err
	})
}

func (s *script) renew(ids ...string) {
	s.call(note{Op: opRenew, IDs: ids}, func(ctx context.Context, _ *note) error {
		var items []*pipeline.Item
		for _, id := range ids {
			items = append(items, s.held[id])
		}
		lost, err := s.q.Renew(ctx, items)
		if err == nil && len(lost) > 0 {
			err = fmt.Errorf("%d are lost", len(lost))
		}
		return err
	})
}

func (s *script) ack(id string, r pipeline.Result) {
	s.call(note{Op: opAck, IDs: []string{id}, Result: r}, func(ctx context.Context, _ *note) error {
		return s.q.Ack(ctx, s.held[id], pipeline.Outcome{Result: r, Cause: s.held[id].Condemned})
	})
}

func (s *script) nack(id string, r pipeline.Release) {
	s.call(note{Op: opNack, IDs: []string{id}, Refund: r.Refund}, func(ctx context.Context, _ *note) error {
		return s.q.Nack(ctx, s.held[id], r)
	})
}

// many makes a call that changes all of these items.
func (s *script) many(op string, f func(context.Context, pipeline.Filter) (int, error), ids ...string) {
	s.call(note{Op: op, IDs: ids}, func(ctx context.Context, _ *note) error {
		n, err := f(ctx, pipeline.Filter{IDs: ids})
		if err == nil && n != len(ids) {
			err = fmt.Errorf("changed %d", n)
		}
		return err
	})
}
