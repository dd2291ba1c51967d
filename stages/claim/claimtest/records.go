package claimtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/waybill-dev/waybill/pipeline"
)

// ledger is the records of a store with what must hold.
type ledger struct {
	*bench
	pipeline.Records
}

func (b *bench) ledger() ledger { return ledger{b, b.q} }

// write stores a value and returns the new revision.
func (l ledger) write(name, value string, rev int64, ttl time.Duration) int64 {
	l.Helper()
	got, err := l.WriteRecord(l.Context(), name, []byte(value), rev, ttl)
	if err != nil || got <= rev {
		l.Fatalf("write %s under revision %d: revision %d, error %v", name, rev, got, err)
	}
	return got
}

// refused checks that neither a write nor a delete passes under this revision.
func (l ledger) refused(name string, rev int64) {
	l.Helper()
	if got, err := l.WriteRecord(l.Context(), name, []byte("no"), rev, 0); !errors.Is(err, pipeline.ErrConflict) {
		l.Errorf("write %s under revision %d: revision %d, error %v; want ErrConflict", name, rev, got, err)
	}
	if rev == 0 {
		return
	}
	if err := l.DeleteRecord(l.Context(), name, rev); !errors.Is(err, pipeline.ErrConflict) {
		l.Errorf("delete %s under revision %d: error %v; want ErrConflict", name, rev, err)
	}
}

// there checks the records of a prefix: names and values.
func (l ledger) there(prefix string, want ...string) []pipeline.Record {
	l.Helper()
	all, _, err := l.Records.Records(l.Context(), prefix)
	var got []string
	for _, r := range all {
		got = append(got, r.Name+"="+string(r.Value))
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		l.Errorf("records of %q: error %v (-want +got):\n%s", prefix, err, d)
	}
	return all
}

func recordWrites(b *bench) {
	l := b.ledger()
	l.there("")
	l.refused("a/b", 7)
	first := l.write("a/b", "1", 0, 0)
	l.refused("a/b", 0)
	l.refused("a/b", first+1)
	second := l.write("a/b", "2", first, 0)
	l.refused("a/b", first)
	if all := l.there("a/b", "a/b=2"); len(all) == 1 && (all[0].Revision != second || !all[0].Until.IsZero()) {
		b.Errorf("read %+v, want revision %d for ever", all[0], second)
	}
	if err := l.DeleteRecord(b.Context(), "a/b", second); err != nil {
		b.Fatalf("delete: %v", err)
	}
	l.there("")
	l.refused("a/b", second)
	third := l.write("a/b", "", 0, 0)
	if third <= second {
		b.Errorf("after its end the name has revision %d, want it above %d", third, second)
	}
	l.refused("a/b", second)
	l.there("a/", "a/b=")
	b.wantStats(pipeline.QueueStats{}) // records are no items
	if names, err := b.q.Queues(b.Context()); !slices.Equal(names, []string{"default"}) || err != nil {
		b.Errorf("queues: %v, error %v", names, err)
	}
}

// recordTTL: a record ends by the store's clock, for writers and readers at once.
func recordTTL(b *bench) {
	l := b.ledger()
	_, now, err := l.Records.Records(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	first := l.write("lease", "a", 0, time.Minute)
	if all := l.there("lease", "lease=a"); len(all) == 1 && !all[0].Until.Equal(now.Add(time.Minute)) {
		b.Errorf("the record ends at %v, want %v", all[0].Until, now.Add(time.Minute))
	}
	b.advance(40 * time.Second)
	second := l.write("lease", "a", first, time.Minute) // renewed, from now on
	b.advance(59 * time.Second)
	l.refused("lease", 0)
	l.there("lease", "lease=a")
	b.advance(time.Second)
	l.there("lease")
	l.refused("lease", second)
	third := l.write("lease", "b", 0, time.Minute)
	if third <= second {
		b.Errorf("after its end the name has revision %d, want it above %d", third, second)
	}
	l.refused("lease", second)
	l.write("lease", "c", third, 0)
	b.advance(1000 * time.Hour)
	all, later, err := l.Records.Records(b.Context(), "lease")
	if len(all) != 1 || !all[0].Until.IsZero() || err != nil {
		b.Errorf("a record for ever: %+v, error %v", all, err)
	}
	if want := now.Add(1000*time.Hour + 100*time.Second); !later.Equal(want) {
		b.Errorf("the store's time of the reading is %v, want %v", later, want)
	}
}

func recordNames(b *bench) {
	l := b.ledger()
	for i, name := range []string{"p/b", "p/a", "p/a/x", "pa", "q/A.b_c-1"} {
		l.write(name, strconv.Itoa(i), 0, 0)
	}
	l.there("p/", "p/a=1", "p/a/x=2", "p/b=0")
	l.there("p", "p/a=1", "p/a/x=2", "p/b=0", "pa=3")
	l.there("p/a", "p/a=1", "p/a/x=2")
	l.there("q/A.b_c-1", "q/A.b_c-1=4")
	l.there("none/")
	for _, name := range []string{"", "a b", "a*", "ä", "a\x00b"} {
		if _, err := l.WriteRecord(b.Context(), name, nil, 0, 0); err == nil || errors.Is(err, pipeline.ErrConflict) {
			b.Errorf("the name %q: error %v, want it refused", name, err)
		}
	}
	full := bytes.Repeat([]byte{0xff, 0}, 32<<10)
	rev, err := l.WriteRecord(b.Context(), "full", full, 0, 0)
	if err != nil {
		b.Fatalf("64 KiB: %v", err)
	}
	if all, _, err := l.Records.Records(b.Context(), "full"); err != nil || len(all) != 1 || !bytes.Equal(all[0].Value, full) {
		b.Errorf("64 KiB came back as %d records, error %v", len(all), err)
	}
	if _, err := l.WriteRecord(b.Context(), "full", append(full, 0), rev, 0); err == nil || errors.Is(err, pipeline.ErrConflict) {
		b.Errorf("more than 64 KiB: error %v, want it refused", err)
	}
}

// recordRaces: of those who write under one revision one wins.
func recordRaces(b *bench) {
	const racers, each = 8, 6
	mine := b.ledger()
	other := ledger{b, b.open(pipeline.QueueOptions{Queue: "apart", Owner: "other"})} // the store's, not the queue's
	var winners atomic.Int64
	err := workers(b.Context(), racers, func(ctx context.Context, w int) error {
		l := []ledger{mine, other}[w%2]
		_, err := l.WriteRecord(ctx, "first", nil, 0, 0)
		if err == nil {
			winners.Add(1)
		} else if !errors.Is(err, pipeline.ErrConflict) {
			return err
		}
		for range each {
			if err := increment(ctx, l.Records); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || winners.Load() != 1 {
		b.Errorf("%d of %d racers wrote first, error %v", winners.Load(), racers, err)
	}
	other.there("count", "count="+strconv.Itoa(racers*each))
}

// increment adds one to a shared counter.
func increment(ctx context.Context, records pipeline.Records) error {
	for {
		all, _, err := records.Records(ctx, "count")
		if err != nil {
			return err
		}
		n, rev := 0, int64(0)
		if len(all) > 0 {
			rev = all[0].Revision
			if n, err = strconv.Atoi(string(all[0].Value)); err != nil {
				return err
			}
		}
		_, err = records.WriteRecord(ctx, "count", []byte(strconv.Itoa(n+1)), rev, 0)
		if !errors.Is(err, pipeline.ErrConflict) {
			return err
		}
	}
}

// recordsReopened: records outlive the connection they were made on.
func recordsReopened(b *bench) {
	l := b.ledger()
	rev := l.write("a", "1", 0, 0)
	gone := l.write("b", "1", 0, 0)
	if err := errors.Join(l.DeleteRecord(b.Context(), "b", gone), b.q.Close()); err != nil {
		b.Fatal(err)
	}
	b.q = b.open(pipeline.QueueOptions{})
	l = b.ledger()
	l.there("", "a=1")
	l.refused("a", 0)
	l.write("a", "2", rev, 0)
	if again := l.write("b", "2", 0, 0); again <= gone {
		b.Errorf("after its end and a restart the name has revision %d, want it above %d", again, gone)
	}
}
