package nats_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/nats"
)

// TestRecordsAcrossCuts: the connection breaks between a write and its answer. A
// lost answer is neither a conflict nor a second write.
func TestRecordsAcrossCuts(t *testing.T) {
	t.Parallel()
	p := newProxy(t, startServer(t, t.TempDir()).Addr().String())
	q := mustOpen(t, "nats://"+p.addr(), pipeline.QueueOptions{Create: true})
	var rev int64
	for i := range 30 {
		if i%5 == 3 {
			p.cutAfter(50 * i)
		}
		var err error
		if rev, err = q.WriteRecord(t.Context(), "count", fmt.Append(nil, i), rev, 0); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	all, _, err := q.Records(t.Context(), "")
	if err != nil || len(all) != 1 || string(all[0].Value) != "29" || all[0].Revision != rev {
		t.Errorf("records %+v, error %v; want 29 at revision %d", all, err, rev)
	}
	if p.cuts() < 3 {
		t.Errorf("the connection broke %d times only", p.cuts())
	}
}

// TestRecordsAreSwept: what ended a day ago leaves the stream, and a process that
// knew it writes the name again.
func TestRecordsAreSwept(t *testing.T) {
	a, b, c := pair(t)
	write := func(q *nats.Queue, name string, ttl time.Duration) int64 {
		rev, err := q.WriteRecord(t.Context(), name, nil, 0, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	first := write(a, "ends", time.Second)
	if err := a.DeleteRecord(t.Context(), "deleted", write(a, "deleted", 0)); err != nil {
		t.Fatal(err)
	}
	write(a, "stays", 0)
	if all, _, err := b.Records(t.Context(), ""); len(all) != 2 || err != nil {
		t.Fatalf("records %+v, error %v", all, err)
	}
	c.Advance(25 * time.Hour)
	write(a, "last", 0) // the last message always stays
	if _, err := a.Compact(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	s, err := nats.JetStream(a).Stream(t.Context(), "waybill_records")
	if err != nil || s.CachedInfo().State.Msgs != 2 {
		t.Errorf("%d messages are left, error %v; want those of stays and last", s.CachedInfo().State.Msgs, err)
	}
	if rev := write(b, "ends", 0); rev <= first {
		t.Errorf("revision %d after %d", rev, first)
	}
}

// TestRecordRefusals: what is no record is refused, and so is a stream that would
// lose records.
func TestRecordRefusals(t *testing.T) {
	a, _, _ := pair(t)
	for name, value := range map[string]int{"": 0, "a b": 0, "ä": 0, strings.Repeat("x", 600): 0, "large": 64<<10 + 1} {
		if _, err := a.WriteRecord(t.Context(), name, make([]byte, value), 0, 0); pipeline.CodeOf(err) != "bad-record" {
			t.Errorf("%.20q with %d bytes: error %v, want bad-record", name, value, err)
		}
	}
	if _, err := a.WriteRecord(t.Context(), "large", make([]byte, 64<<10), 0, 0); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	if _, err := a.WriteRecord(t.Context(), "large", nil, 0, 0); !errors.Is(err, pipeline.ErrConflict) {
		t.Errorf("error %v, want ErrConflict", err)
	}
	if err := nats.JetStream(a).DeleteStream(t.Context(), "waybill_records"); err != nil {
		t.Fatal(err)
	}
	cfg := nats.RecordsConfig()
	cfg.MaxAge = time.Hour
	if _, err := nats.JetStream(a).CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	q := mustOpen(t, nats.URL(a), pipeline.QueueOptions{})
	if _, _, err := q.Records(t.Context(), ""); pipeline.CodeOf(err) != "bad-stream" {
		t.Errorf("error %v, want bad-stream", err)
	}
}
