package claimtest

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// bulk: many items in one call, all or none.
func bulk(b *bench) {
	const n = 10_000
	items := make([]pipeline.NewItem, n)
	for i := range items {
		items[i] = pipeline.NewItem{ID: fmt.Sprintf("i%05d", i), Body: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	items[n-1].ID = items[0].ID
	if _, err := b.q.Enqueue(b.Context(), items); err == nil {
		b.Fatal("an id twice in one call was accepted")
	}
	b.wantStats(pipeline.QueueStats{})
	items[n-1].ID = fmt.Sprintf("i%05d", n-1)
	b.enqueue(items...)
	b.wantStats(pipeline.QueueStats{Ready: n, Enqueued: n})
	got := b.claim(100)
	if len(got) != 100 || got[99].ID != "i00099" || string(got[99].Input) != `{"n":99}` {
		b.Errorf("claimed %d of them, want the first 100 in their order", len(got))
	}
	if last := b.show(items[n-1].ID); string(last.Body) != string(items[n-1].Body) {
		b.Errorf("the last one is %+v", last)
	}
}

// largeTogether: bodies of the full size, several in one call.
func largeTogether(b *bench) {
	items := numbered("i", 4, pipeline.NewItem{Body: fmt.Appendf(nil, "%q", strings.Repeat("x", pipeline.MaxItemBody-2))})
	b.enqueue(items...)
	got := b.claim(4)
	if d := cmp.Diff([]string{"i0", "i1", "i2", "i3"}, ids(got)); d != "" {
		b.Fatalf("claimed (-want +got):\n%s", d)
	}
	for _, it := range got {
		if len(it.Input) != pipeline.MaxItemBody {
			b.Errorf("%s has %d bytes", it.ID, len(it.Input))
		}
	}
}
