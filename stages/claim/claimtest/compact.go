package claimtest

import (
	"errors"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// compacts: what was done long enough ago goes, as if it had been dropped; dead
// letters stay.
func compacts(b *bench) {
	tools := b.q
	b.enqueue(numbered("i", 6, pipeline.NewItem{})...)
	items := b.claim(4)
	b.ack(items[0], pipeline.Succeeded)
	b.ack(items[1], pipeline.Dead)
	b.advance(10 * time.Second)
	b.ack(items[2], pipeline.Succeeded)
	b.advance(10 * time.Second)
	for _, tc := range []struct {
		keep time.Duration
		want int64
	}{{time.Hour, 0}, {20 * time.Second, 1}, {20 * time.Second, 0}, {0, 1}, {0, 0}} {
		c, err := tools.Compact(b.Context(), tc.keep)
		if c.Deleted != tc.want || err != nil {
			b.Errorf("compact %v: %+v, error %v; want %d deleted", tc.keep, c, err, tc.want)
		}
	}
	b.wantStats(pipeline.QueueStats{Ready: 2, Leased: 1, Dead: 1, Enqueued: 4})
	if _, err := b.q.Show(b.Context(), "i0"); !errors.Is(err, pipeline.ErrNotFound) {
		b.Errorf("showing what was compacted: %v, want ErrNotFound", err)
	}
	b.ack(items[3], pipeline.Succeeded)
	b.enqueue(pipeline.NewItem{ID: "i0", Priority: 9})
	if it := b.one(); it.Token <= items[0].Token {
		b.Errorf("the id's next item has the token %d after %d", it.Token, items[0].Token)
	}
	b.wantLost("ack of what was compacted", b.q.Ack(b.Context(), items[0], pipeline.Outcome{Result: pipeline.Dead}))
}
