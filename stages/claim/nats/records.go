package nats

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/waybill-dev/waybill/pipeline"
)

// The stream of the records that the processes on one server share, made by the
// first of them. No queue's stream has this name, and no queue's subject is below
// this one.
const (
	recordsStream  = "waybill_records"
	recordsSubject = "waybill-records."
)

// shared is a record as it stands in the stream: the small part is the message's
// header, the value its data.
type shared struct {
	Name  string `json:"name"`
	Until int64  `json:"until,omitempty"` // 0: it does not end by itself
	// Gone says that it was deleted: a reader's clock may be a moment behind Until.
	Gone  bool   `json:"gone,omitempty"`
	Nonce string `json:"nonce"`
	value []byte
	seq   uint64 // the revision
}

func (s shared) live(now int64) bool { return s.seq > 0 && !s.Gone && (s.Until == 0 || now < s.Until) }

// book is what a process knows of the records: all of them, as of the last
// message that it has read. As with items, it proposes, and the condition of the
// write decides.
type book struct {
	opening sync.Mutex
	stream  jetstream.Stream // nil until somebody asks
	tail    *tail            // nil as well
	clock   clock

	mu   sync.Mutex
	page map[string]shared // by name; with those that have ended
}

func newBook(now func() time.Time) *book {
	return &book{page: map[string]shared{}, clock: clock{fixed: now}}
}

// openBook finds or makes the stream, and reads it to its end.
func (q *Queue) openBook(ctx context.Context) (*book, error) {
	b := q.book
	b.opening.Lock()
	defer b.opening.Unlock()
	if b.stream != nil {
		return b, nil
	}
	s, err := q.make(ctx, recordsConfig(q.replicas))
	if err != nil {
		return nil, err
	}
	if have := s.CachedInfo().Config; have.MaxMsgsPerSubject != 1 || have.MaxAge > 0 || have.MaxMsgs > 0 || have.Storage != jetstream.FileStorage {
		return nil, pipeline.Fail("bad-stream", "%s: the stream %s throws records away", q.url, recordsStream).
			WithHint("it must be as waybill makes it; see docs/queues.md")
	}
	t := q.newTail(recordsStream, recordsSubject+">", func(m *natsgo.Msg, seq uint64) {
		rec, err := record[shared](m.Header)
		if err != nil {
			q.log.Error("a message that is not ours was left out", "subject", m.Subject, "error", err)
			return
		}
		rec.value, rec.seq = m.Data, seq
		b.put(rec)
	})
	b.tail = t
	if err := q.readOn(ctx, recordsStream, &b.clock, t); err != nil {
		t.stop()
		return nil, err
	}
	b.stream = s
	return b, nil
}

func recordsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: recordsStream, Description: "Waybill: what processes share", Subjects: []string{recordsSubject + ">"},
		MaxMsgsPerSubject: 1, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, Replicas: replicas,
	}
}

// close ends the reading. A queue that is closed opens no book.
func (b *book) close() {
	b.opening.Lock()
	defer b.opening.Unlock()
	if b.tail != nil {
		b.tail.stop()
	}
}

// put notes a record that was read or written; what is older is known already.
func (b *book) put(rec shared) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rec.seq > b.page[rec.Name].seq {
		b.page[rec.Name] = rec
	}
}

func (b *book) get(name string) shared {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.page[name]
}

// forget notes that the message of a record is gone from the stream.
func (b *book) forget(rec shared) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.page[rec.Name].seq == rec.seq {
		delete(b.page, rec.Name)
	}
}

// Records returns the live records whose name begins with prefix, as of a moment
// after the call began, and the time of the stream's leader.
func (q *Queue) Records(ctx context.Context, prefix string) ([]pipeline.Record, time.Time, error) {
	b, err := q.openBook(ctx)
	if err == nil {
		err = q.readOn(ctx, recordsStream, &b.clock, b.tail)
	}
	if err != nil {
		return nil, time.Time{}, q.fail("records", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now, out := b.clock.now(), []pipeline.Record{}
	for name, rec := range b.page {
		if rec.live(now) && strings.HasPrefix(name, prefix) {
			out = append(out, pipeline.Record{Name: name, Value: slices.Clone(rec.value), Revision: int64(rec.seq), Until: instant(rec.Until)})
		}
	}
	slices.SortFunc(out, func(a, b pipeline.Record) int { return cmp.Compare(a.Name, b.Name) })
	return out, instant(now), nil
}

// WriteRecord stores a value if the record is as expected. The revision is the
// sequence of its message, which only grows.
func (q *Queue) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if err := checkRecord(name, value); err != nil {
		return 0, err
	}
	seq, err := q.writeRecord(ctx, name, rev, func(now int64) shared {
		rec := shared{Name: name, value: value}
		if ttl > 0 {
			rec.Until = now + max(1, ttl.Milliseconds())
		}
		return rec
	})
	return int64(seq), q.fail("write record", err)
}

// DeleteRecord ends a record if it is as expected. A record that is absent and
// expected to be is a success.
func (q *Queue) DeleteRecord(ctx context.Context, name string, rev int64) error {
	if err := checkRecord(name, nil); err != nil {
		return err
	}
	if rev == 0 {
		b, err := q.openBook(ctx)
		if err == nil {
			err = q.readOn(ctx, recordsStream, &b.clock, b.tail)
		}
		if err == nil && b.get(name).live(b.clock.now()) {
			err = conflictOn(name)
		}
		return q.fail("delete record", err)
	}
	_, err := q.writeRecord(ctx, name, rev, func(now int64) shared { return shared{Name: name, Until: now, Gone: true} })
	return q.fail("delete record", err)
}

// writeRecord decides on what the book has and writes under the condition that
// this is still so; after a conflict it reads on and decides anew.
func (q *Queue) writeRecord(ctx context.Context, name string, rev int64, next func(now int64) shared) (uint64, error) {
	b, err := q.openBook(ctx)
	if err != nil {
		return 0, err
	}
	for nonce, fresh := rand.Text(), false; ; fresh = true {
		have, now := b.get(name), b.clock.now()
		if have.Nonce == nonce {
			return have.seq, nil // an earlier try, whose answer was lost
		}
		agreed := have.live(now) && have.seq == uint64(rev) || rev == 0 && !have.live(now)
		if !agreed && fresh {
			return 0, conflictOn(name)
		}
		var refused conflict
		if agreed {
			rec := next(now)
			rec.Nonce = nonce
			if rec.seq, err = q.publishRecord(ctx, rec, have.seq); err == nil {
				b.put(rec)
				return rec.seq, nil
			}
			if !errors.As(err, &refused) {
				return 0, err
			}
		}
		if err := q.readOn(ctx, recordsStream, &b.clock, b.tail); err != nil {
			return 0, err
		}
		if agreed && refused.known && refused.last == 0 {
			b.forget(have) // it had ended long ago, and was swept away
		}
	}
}

func (q *Queue) publishRecord(ctx context.Context, rec shared, last uint64) (uint64, error) {
	subject := recordsSubject + token(rec.Name)
	m, err := message(subject, rec, rec.value)
	if err != nil {
		return 0, err
	}
	return q.publish(ctx, m, condition{subject, last})
}

// maxRecord is the largest value of a record, in bytes.
const maxRecord = 64 << 10

func checkRecord(name string, value []byte) error {
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/", r))
	}
	if name == "" || len(name) > pipeline.MaxItemName || strings.ContainsFunc(name, bad) {
		return pipeline.Fail("bad-record", "the record's name %q: want letters, digits, '.', '_', '-' in parts with '/' between, at most %d bytes",
			name, pipeline.MaxItemName)
	}
	if len(value) > maxRecord {
		return pipeline.Fail("bad-record", "the record %s has %d bytes, at most %d are allowed", name, len(value), maxRecord)
	}
	return nil
}

func conflictOn(name string) error {
	return fmt.Errorf("record %q: %w", name, pipeline.ErrConflict)
}

// sweep deletes the messages of records that ended a day ago. A process that was
// cut off for longer may still think that a deleted one lives, until it writes.
func (b *book) sweep(ctx context.Context, q *Queue) {
	b.opening.Lock()
	stream := b.stream
	b.opening.Unlock()
	if stream == nil {
		return
	}
	now, end := b.clock.now(), uint64(0)
	var ended []shared
	b.mu.Lock()
	for _, rec := range b.page {
		end = max(end, rec.seq) // the last message stays: it tells a reader when it has read everything
	}
	for _, rec := range b.page {
		if rec.seq < end && rec.Until > 0 && now-rec.Until >= keepRemains.Milliseconds() {
			ended = append(ended, rec)
		}
	}
	b.mu.Unlock()
	each(len(ended), func(i int) {
		if q.remove(ctx, stream, ended[i].seq) == nil {
			b.forget(ended[i])
		}
	})
}
