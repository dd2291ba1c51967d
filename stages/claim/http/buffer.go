package http

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// maxKeys is how many idempotency keys of ended items are known.
const maxKeys = 10_000

var (
	errFull     = errors.New("no slot is free and the buffer is full")
	errDraining = errors.New("the run is ending and takes no more work")
)

// buffer has the items that were accepted: those that wait, those that are in
// flight, and of those that have ended the idempotency keys.
type buffer struct {
	size    int
	log     *slog.Logger
	journal *local.Journal // nil without a checkpoint

	mu       sync.Mutex
	waiting  []*work
	reserved int              // places of items that are being written to the journal
	live     map[string]*work // by id, until they end
	keys     map[string]*work // by idempotency key
	ended    []*work          // with a key, oldest first
	draining bool
}

// work is one item.
type work struct {
	id, key string
	rec     *local.Record
	waiters int           // requests that wait for its end
	taken   bool          // handed out
	written chan struct{} // closed when it is accepted, or failed
	failed  error         // why it was not accepted
	done    chan struct{} // closed at its end
	outcome pipeline.Outcome
}

// kept is what the journal has of an item: all of it, or when it has ended its
// idempotency key.
type kept struct {
	Item  *pipeline.NewItem `json:"item,omitempty"`
	Raw   []byte            `json:"raw,omitempty"`
	Media string            `json:"media,omitempty"`
	Key   string            `json:"key,omitempty"`
}

func newBuffer(size int, log *slog.Logger) *buffer {
	return &buffer{size: size, log: log, live: map[string]*work{}, keys: map[string]*work{}}
}

// resume takes over what an earlier run accepted. All of it waits, whatever the
// buffer's size.
func (b *buffer) resume(j *local.Journal) error {
	b.journal = j
	for _, st := range j.Standings() {
		var k kept
		if err := json.Unmarshal(st.Data, &k); err != nil || !st.Ended && k.Item == nil {
			return pipeline.Fail("bad-checkpoint", "the checkpoint's entry %q is no item", st.ID)
		}
		if st.Ended {
			w := &work{id: st.ID, key: k.Key, done: make(chan struct{}), written: make(chan struct{}),
				outcome: pipeline.Outcome{Result: st.Result, Digest: st.Digest}}
			close(w.done)
			close(w.written)
			b.keys[k.Key] = w
			b.ended = append(b.ended, w)
			continue
		}
		w := b.newWork(k)
		close(w.written)
		b.waiting = append(b.waiting, w)
		b.know(w)
	}
	return nil
}

// newWork makes the record of an item that has an id.
func (b *buffer) newWork(k kept) *work {
	w := &work{id: k.Item.ID, key: k.Item.IdempotencyKey, done: make(chan struct{}), written: make(chan struct{})}
	w.rec = &local.Record{Item: *k.Item, Where: w.id, Ended: func(o pipeline.Outcome) { b.end(w, o) }}
	if k.Item.Body == nil && k.Raw != nil {
		w.rec.Body = func() (pipeline.Body, error) { return pipeline.RawBody(k.Raw, k.Media), nil }
		w.rec.Letter = func() []byte { return letter(k) }
	}
	if w.key != "" {
		w.rec.Keep, _ = json.Marshal(kept{Key: w.key}) // a text always encodes
	}
	return w
}

func (b *buffer) know(w *work) {
	b.live[w.id] = w
	if w.key != "" {
		b.keys[w.key] = w
	}
}

// answer is what became of one item of a request.
type answer struct {
	*work
	duplicate bool
}

// offer accepts all items of a request or none. With a journal they are on disk
// when it returns.
func (b *buffer) offer(items []kept) ([]answer, error) {
	answers, fresh, data, err := b.reserve(items)
	if err != nil {
		return nil, err
	}
	if b.journal != nil && len(fresh) > 0 {
		err = b.journal.Take(data...)
	}
	b.accept(fresh, err)
	for _, a := range answers { // a duplicate is accepted when its first is
		if <-a.written; a.failed != nil {
			return nil, a.failed
		}
	}
	return answers, nil
}

// accept lets items wait for a slot, or drops them if they could not be written.
func (b *buffer) accept(fresh []*work, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= len(fresh)
	if err == nil {
		b.waiting = append(b.waiting, fresh...)
	}
	for _, w := range fresh {
		if w.failed = err; err != nil {
			b.drop(w)
		}
		close(w.written)
	}
}

// reserve finds out which items are new, and holds places for them.
func (b *buffer) reserve(items []kept) (answers []answer, fresh []*work, data []local.Standing, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.draining {
		return nil, nil, nil, errDraining
	}
	defer func() {
		if err != nil {
			for _, w := range fresh {
				b.drop(w)
			}
		}
	}()
	for _, k := range items {
		if first := b.keys[k.Item.IdempotencyKey]; k.Item.IdempotencyKey != "" && first != nil {
			answers = append(answers, answer{first, true})
			continue
		}
		if b.live[k.Item.ID] != nil {
			return nil, fresh, nil, pipeline.Fail("duplicate-id", "an item %q is being worked on", k.Item.ID)
		}
		text, err := json.Marshal(k)
		if err != nil {
			return nil, fresh, nil, err
		}
		w := b.newWork(k)
		b.know(w)
		fresh, data = append(fresh, w), append(data, local.Standing{ID: w.id, Data: text})
		answers = append(answers, answer{w, false})
	}
	if len(fresh) > b.size {
		return nil, fresh, nil, pipeline.Fail("too-many-items", "%d items at once, the buffer has room for %d", len(fresh), b.size)
	}
	if len(b.waiting)+b.reserved+len(fresh) > b.size {
		return nil, fresh, nil, errFull
	}
	b.reserved += len(fresh)
	for _, a := range answers {
		a.waiters++
	}
	return answers, fresh, data, nil
}

// full reports that there is no room for anything.
func (b *buffer) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)+b.reserved >= b.size
}

// next hands out the oldest item, or nil.
func (b *buffer) next() *local.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return nil
	}
	w := b.waiting[0]
	b.waiting = b.waiting[1:]
	w.taken = true
	return w.rec
}

func (b *buffer) count() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.waiting) + b.reserved)
}

// leave is told that a request does not wait any more. If it was the last, and
// nothing but the process would remember the item, it is taken back.
func (b *buffer) leave(answers []answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range answers {
		if a.waiters--; a.waiters == 0 && !a.taken && b.journal == nil {
			b.waiting = slices.DeleteFunc(b.waiting, func(w *work) bool { return w == a.work })
			b.drop(a.work)
		}
	}
}

// drop forgets an item that was not accepted. The caller holds the lock.
func (b *buffer) drop(w *work) {
	if b.live[w.id] == w {
		delete(b.live, w.id)
	}
	if b.keys[w.key] == w {
		delete(b.keys, w.key)
	}
}

// end is told how an item ended. Its key is known for some time.
func (b *buffer) end(w *work, o pipeline.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.outcome, w.rec = o, nil
	close(w.done)
	delete(b.live, w.id)
	if w.key == "" {
		return
	}
	if b.ended = append(b.ended, w); len(b.ended) <= maxKeys {
		return
	}
	old := b.ended[0]
	b.ended = b.ended[1:]
	b.drop(old)
	if b.journal != nil && b.live[old.id] == nil {
		if err := b.journal.Forget(old.id); err != nil {
			b.log.Warn("the checkpoint could not be written", "error", err)
		}
	}
}

// drain refuses new items.
func (b *buffer) drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
}

func (b *buffer) isTaken(w *work) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return w.taken
}
