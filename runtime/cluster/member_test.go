package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/cluster"
)

// workers returns who is on a queue, by run.
func workers(t *testing.T, s pipeline.Records, queue string) map[string]cluster.Worker {
	t.Helper()
	found, _, err := cluster.Workers(t.Context(), s, queue)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]cluster.Worker{}
	for _, w := range found {
		out[w.Run] = w
	}
	return out
}

// TestWorkers: a worker is listed with what it did, is gone when it has left, and
// some seconds after it was killed.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		var done atomic.Int64
		a, err := join(t, s, "a", func(o *cluster.Options) {
			o.Worker = cluster.Worker{Queue: "pages/1 ü", Run: "a", Host: "h", PID: 7, Pipeline: "p", Digest: "sha256:x", Version: 3, Leased: true}
			o.Counters = func() cluster.Counters { return cluster.Counters{Succeeded: done.Load()} }
		})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := join(t, s, "b")
		done.Store(5)
		time.Sleep(2 * interval)
		w := workers(t, s, "pages/1 ü")["a"]
		if w.Host != "h" || w.PID != 7 || w.Version != 3 || w.Succeeded != 5 || w.Lanes.Count() != 64 || w.Digest != "sha256:x" {
			t.Errorf("%+v", w)
		}
		_, now, _ := cluster.Workers(t.Context(), s, "")
		if up := now.Sub(w.Started); up < 2*interval || up > 3*interval {
			t.Errorf("up for %v on the store's clock", up)
		}
		if all := workers(t, s, ""); len(all) != 2 || len(workers(t, s, "pages")) != 0 {
			t.Errorf("all queues: %v", all)
		}
		b.die()
		time.Sleep(3*interval + time.Second)
		a.leave()
		if all := workers(t, s, ""); len(all) != 0 {
			t.Errorf("left behind: %v", all)
		}
	})
}

// TestStoreAway: a process that cannot renew its session claims from no lane by
// the time that another may take them, and begins anew when the store is back.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		a, _ := join(t, s, "a")
		time.Sleep(interval + interval/2)
		began := time.Now()
		s.set(0, 0, true)
		for a.m.Lanes() != 0 {
			if time.Since(began) >= 3*interval {
				t.Fatal("claims go on although the session has ended in the store")
			}
			time.Sleep(time.Millisecond)
		}
		if time.Since(began) < interval {
			t.Error("a short outage ends a session")
		}
		b, err := join(t, &s.Memory, "b")
		if err != nil {
			t.Fatal(err)
		}
		s.set(0, 0, false)
		watch(t, []*proc{a, b}, 8*interval)
		fair(t, []*proc{a, b})
		if n := a.m.Live(); n != 2 {
			t.Errorf("%d workers", n)
		}
		a.leave()
		b.leave()
	})
}

// version joins a pipeline of this version.
func version(t *testing.T, s pipeline.Records, run string, v int, change ...func(*cluster.Options)) (p *proc, stopped *atomic.Pointer[cluster.SupersededError], err error) {
	t.Helper()
	stopped = new(atomic.Pointer[cluster.SupersededError])
	p, err = join(t, s, run, append(change, func(o *cluster.Options) {
		o.Worker.Version = v
		o.Superseded = func(e *cluster.SupersededError) {
			if stopped.Swap(e) != nil {
				t.Error("told twice")
			}
		}
	})...)
	return p, stopped, err
}

// TestVersions: the newest version runs, older ones make way and are refused,
// unless somebody rolls back.
func TestVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 1)
		none, gone, err := version(t, s, "none", 0)
		if err != nil {
			t.Fatal(err)
		}
		one, stopped1, err := version(t, s, "one", 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := version(t, s, "other", 0, func(o *cluster.Options) { o.Worker.Pipeline = "other" }); err != nil {
			t.Errorf("another pipeline is none of their business: %v", err)
		}
		time.Sleep(3 * interval)
		if gone.Load() == nil || stopped1.Load() != nil {
			t.Errorf("version 1 came: %v, %v", gone.Load(), stopped1.Load())
		}
		two, stopped2, err := version(t, s, "two", 2)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * interval)
		if other := stopped1.Load(); other == nil || other.Mine != 1 || other.Now != 2 {
			t.Errorf("version 2 came: %v", other)
		}
		_, _, err = version(t, s, "late", 1)
		if pipeline.CodeOf(err) != cluster.CodeOldVersion || pipeline.KindOf(err) != pipeline.Permanent {
			t.Errorf("an older version: %v", err)
		}
		back, stoppedBack, err := version(t, s, "back", 1, func(o *cluster.Options) { o.Rollback = true })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * interval)
		if other := stopped2.Load(); other == nil || other.Now != 1 || stoppedBack.Load() != nil {
			t.Errorf("after the rollback: %v, %v", other, stoppedBack.Load())
		}
		for _, p := range []*proc{none, one, two, back} {
			p.leave()
		}
	})
}

// TestMemory: what the package itself is used with where there is no store.
func TestMemory(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1000, 0)
	m := &cluster.Memory{Clock: func() time.Time { return now }}
	write := func(rev int64, ttl time.Duration) (int64, error) {
		return m.WriteRecord(ctx, "a/b", []byte("v"), rev, ttl)
	}
	first, err := write(0, time.Minute)
	if err != nil || first <= 0 {
		t.Fatal(first, err)
	}
	if _, err := write(0, 0); !errors.Is(err, pipeline.ErrConflict) {
		t.Error("it was there:", err)
	}
	second, err := write(first, time.Minute)
	if err != nil || second <= first {
		t.Error(second, err)
	}
	if err := m.DeleteRecord(ctx, "a/b", first); !errors.Is(err, pipeline.ErrConflict) {
		t.Error("an old revision deletes:", err)
	}
	if got, at, _ := m.Records(ctx, "a/"); len(got) != 1 || got[0].Revision != second || !at.Equal(now) || !got[0].Until.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v at %v", got, at)
	}
	now = now.Add(time.Minute)
	if got, _, _ := m.Records(ctx, "a/"); len(got) != 0 {
		t.Errorf("it has ended: %+v", got)
	}
	if _, err := write(second, 0); !errors.Is(err, pipeline.ErrConflict) {
		t.Error("a record that has ended is renewed:", err)
	}
	if third, err := write(0, 0); err != nil || third <= second {
		t.Error(third, err)
	}
}
