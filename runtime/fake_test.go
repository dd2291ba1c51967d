package runtime_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
)

// queue is a Source that checks the engine's promises: every write is made
// once, under a live token, by the claim's holder, and no more items are claimed
// than there are carriers. Its clock is the test's.
type queue struct {
	t        testing.TB
	lease    time.Duration
	carriers int
	once     bool // io.EOF instead of nothing

	mu      sync.Mutex
	rows    []*row
	held    int
	ackErr  func(it *pipeline.Item) error
	claims  func() error
	renew   func(it *pipeline.Item) bool // false: lost
	renewed int
	shorten time.Duration // real-time tests: no wait is longer
}

type row struct {
	item     pipeline.Item
	state    pipeline.ItemState
	ready    time.Time
	until    time.Time
	token    int64
	attempts int
	outcome  pipeline.Outcome
	releases []pipeline.Release
}

func newQueue(t testing.TB, n int) *queue {
	q := &queue{t: t, carriers: 1 << 30}
	for i := range n {
		q.add(pipeline.Item{ID: fmt.Sprintf("i%03d", i)})
	}
	return q
}

func (q *queue) add(it pipeline.Item) *row {
	r := &row{item: it, state: pipeline.StateReady}
	q.rows = append(q.rows, r)
	return r
}

func (q *queue) Lease() time.Duration { return q.lease }

func (q *queue) Claim(ctx context.Context, most int) ([]*pipeline.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.claims != nil {
		if err := q.claims(); err != nil {
			return nil, err
		}
	}
	var out []*pipeline.Item
	now, open := time.Now(), false
	for _, r := range q.rows {
		expired := r.state == pipeline.StateLeased && q.lease > 0 && !now.Before(r.until)
		open = open || r.state == pipeline.StateReady || r.state == pipeline.StateLeased
		if len(out) == most || !expired && (r.state != pipeline.StateReady || now.Before(r.ready)) {
			continue
		}
		r.state, r.until = pipeline.StateLeased, now.Add(q.lease)
		r.token++
		r.attempts++
		it := r.item
		it.Queue, it.Token, it.Attempt = "q", r.token, r.attempts
		out = append(out, &it)
		if !expired {
			q.held++
		}
	}
	if q.held > q.carriers {
		q.t.Errorf("%d items are claimed by %d carriers", q.held, q.carriers)
	}
	if q.once && !open {
		return nil, io.EOF
	}
	return out, nil
}

// find returns the row of a claim, or ErrLeaseLost for a stale token.
func (q *queue) find(it *pipeline.Item) (*row, error) {
	for _, r := range q.rows {
		if r.item.ID == it.ID {
			if r.state != pipeline.StateLeased && r.token == it.Token {
				q.t.Errorf("second write for %s: it is %s already", it.ID, r.state)
			}
			if r.token != it.Token || q.lease > 0 && !time.Now().Before(r.until) {
				return nil, pipeline.ErrLeaseLost
			}
			return r, nil
		}
	}
	q.t.Errorf("write for an item that was never claimed: %s", it.ID)
	return nil, pipeline.ErrNotFound
}

func (q *queue) Ack(_ context.Context, it *pipeline.Item, o pipeline.Outcome) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ackErr != nil {
		if err := q.ackErr(it); err != nil {
			return err
		}
	}
	r, err := q.find(it)
	if err != nil {
		return err
	}
	r.state, r.outcome = pipeline.StateDone, o
	if o.Result == pipeline.Dead {
		r.state = pipeline.StateDead
	}
	q.held--
	return nil
}

func (q *queue) Nack(_ context.Context, it *pipeline.Item, rel pipeline.Release) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(it)
	if err != nil {
		return err
	}
	if q.shorten > 0 {
		rel.After = min(rel.After, q.shorten)
	}
	r.state, r.ready = pipeline.StateReady, time.Now().Add(rel.After)
	r.releases = append(r.releases, rel)
	if rel.Refund {
		r.attempts--
	}
	q.held--
	return nil
}

func (q *queue) Renew(_ context.Context, items []*pipeline.Item) (lost []*pipeline.Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.renewed++
	for _, it := range items {
		i := slices.IndexFunc(q.rows, func(r *row) bool { return r.item.ID == it.ID })
		r := q.rows[i]
		if r.token != it.Token || r.state != pipeline.StateLeased || q.renew != nil && !q.renew(it) {
			lost = append(lost, it)
			continue
		}
		r.until = time.Now().Add(q.lease)
	}
	return lost, nil
}

func (q *queue) Pending(context.Context) (n int64, next time.Time, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if r.state == pipeline.StateReady || r.state == pipeline.StateLeased {
			n++
			if r.ready.After(time.Now()) && (next.IsZero() || r.ready.Before(next)) {
				next = r.ready
			}
		}
	}
	return n, next, nil
}

// row returns the state of an item after the run.
func (q *queue) row(id string) *row {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if r.item.ID == id {
			return r
		}
	}
	q.t.Fatalf("no item %s", id)
	return nil
}

// count returns how many items are in a state.
func (q *queue) count(s pipeline.ItemState) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if r.state == s {
			n++
		}
	}
	return n
}

// fn is a stage made of a function.
type fn func(ctx context.Context, it *pipeline.Item) error

func (f fn) Process(ctx context.Context, it *pipeline.Item) error { return f(ctx, it) }

type none struct{}

// source and with make stage plans from values.
func source(s pipeline.Source) pipeline.StagePlan {
	def := pipeline.Define("source", "", none{}, func(context.Context, none, pipeline.Env) (pipeline.Source, error) { return s, nil })
	return pipeline.NewStagePlan("claim", def, none{})
}

func with[S any](name string, s S, change ...func(*pipeline.StagePlan)) pipeline.StagePlan {
	def := pipeline.Define("fake", "", none{}, func(context.Context, none, pipeline.Env) (S, error) { return s, nil })
	sp := pipeline.NewStagePlan(name, def, none{})
	for _, c := range change {
		c(&sp)
	}
	return sp
}

func stage(name string, f fn, change ...func(*pipeline.StagePlan)) pipeline.StagePlan {
	return with[pipeline.Stage](name, f, change...)
}

func plan(carriers int, stages ...pipeline.StagePlan) *pipeline.Plan {
	p := &pipeline.Plan{File: "p.yaml", Name: "test", Run: pipeline.DefaultRun(), Stages: stages}
	p.Run.Concurrency = carriers
	return p
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs a plan until its source is empty and fails the test on an error.
func run(t testing.TB, p *pipeline.Plan) *runtime.Stats {
	t.Helper()
	s, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet()})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	if s.Total != s.Successful+s.Failed+s.Dead+s.Skipped {
		t.Errorf("total %d is not the sum of %d, %d, %d and %d", s.Total, s.Successful, s.Failed, s.Dead, s.Skipped)
	}
	return s
}
