package nats

import (
	"context"
	"time"
)

// keepRemains is how long tombstones stay, and messages that nothing refers to if
// whoever left them did not delete them. A process that was cut off from the
// server for longer may not know that an item was dropped.
const keepRemains = 24 * time.Hour

// sweep deletes what nothing refers to any more, if it is older than this. A
// tombstone goes after what it buries, and never before its time: other processes
// must have read it, or find it with a write that comes late. Nothing depends on
// when, or whether, this is done.
func (q *Queue) sweep(ctx context.Context, age time.Duration) {
	remains, tombs := q.leftovers(age)
	each(len(remains), func(i int) {
		m := remains[i]
		if q.remove(ctx, q.stream, m.seq) != nil {
			return
		}
		q.replica.mu.Lock()
		defer q.replica.mu.Unlock()
		if q.replica.remains[m.subject].seq == m.seq {
			delete(q.replica.remains, m.subject)
		}
	})
	each(len(tombs), func(i int) {
		t := tombs[i]
		if q.remove(ctx, q.stream, t.item) != nil || q.remove(ctx, q.stream, t.seq) != nil {
			return
		}
		q.replica.mu.Lock()
		defer q.replica.mu.Unlock()
		delete(q.replica.tombs, t.seq)
	})
	q.book.sweep(ctx, q)
}

// leftovers never has the last message of the stream, which tells a reader when
// it has read everything.
func (q *Queue) leftovers(age time.Duration) (remains []remain, tombs []tomb) {
	r, now, end := q.replica, q.clock.now(), q.tail.read.done()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.remains {
		if m.seq < end && time.Since(m.since) >= age {
			remains = append(remains, m)
		}
	}
	for _, t := range r.tombs {
		if t.seq < end && now-t.at >= keepRemains.Milliseconds() {
			tombs = append(tombs, t)
		}
	}
	return remains, tombs
}
