package meter_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-dev/waybill/runtime/internal/meter"
)

// TestQuantileIsBounded compares with the exact answer of a sorted list.
func TestQuantileIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "values")
		var h meter.Hist
		var sum time.Duration
		for _, v := range values {
			h.Record(time.Duration(v))
			sum += time.Duration(v)
		}
		slices.Sort(values)
		for _, q := range []float64{0, .5, .95, .99, 1} {
			rank := max(1, int(float64(len(values))*q+.999999))
			exact := values[rank-1]
			got := int64(h.Quantile(q))
			if got < exact || float64(got) > float64(exact)*17/16 {
				t.Fatalf("quantile %v of %d values: %d, exactly %d", q, len(values), got, exact)
			}
		}
		if h.Sum() != sum || h.Count() != int64(len(values)) {
			t.Fatalf("sum %v of %d", h.Sum(), h.Count())
		}
	})
}

func TestBelowCountsUpToTheBound(t *testing.T) {
	var h meter.Hist
	for _, d := range []time.Duration{time.Microsecond, time.Millisecond, time.Second, 100 * time.Hour} {
		h.Record(d)
	}
	for bound, want := range map[time.Duration]int64{time.Millisecond: 2, 2 * time.Second: 3, 2000 * time.Hour: 4} {
		if got := h.Below(bound); got != want {
			t.Errorf("%d are below %v, want %d", got, bound, want)
		}
	}
	if h.Quantile(1) != 100*time.Hour {
		t.Errorf("the largest is %v", h.Quantile(1))
	}
	if (&meter.Hist{}).Quantile(.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

func TestCheapStagesAreTimedNowAndThen(t *testing.T) {
	count := func(d time.Duration) (timed int) {
		var s meter.Stage
		for range 1000 {
			if s.Enter() {
				timed++
				s.Took(d)
			}
			s.Leave()
		}
		if s.Calls() != 1000 || s.InFlight() != 0 || s.Peak() != 1 {
			t.Errorf("calls %d, in flight %d, peak %d", s.Calls(), s.InFlight(), s.Peak())
		}
		return timed
	}
	if n := count(time.Microsecond); n > 100 {
		t.Errorf("%d of 1000 calls of a cheap stage were timed", n)
	}
	if n := count(time.Millisecond); n != 1000 {
		t.Errorf("%d of 1000 calls of a slow stage were timed", n)
	}
}

func TestStageCounts(t *testing.T) {
	var s meter.Stage
	s.Enter()
	s.Enter()
	s.Enter()
	s.Leave()
	s.Leave()
	s.Failed("busy")
	s.Refused("breaker-open") // was no call
	s.Skip()
	if s.Calls() != 3 || s.InFlight() != 1 || s.Peak() != 3 || s.Succeeded() != 1 || s.Skipped() != 1 {
		t.Errorf("calls %d, in flight %d, peak %d, succeeded %d, skipped %d",
			s.Calls(), s.InFlight(), s.Peak(), s.Succeeded(), s.Skipped())
	}
	if e := s.Errors(); e["busy"] != 1 || e["breaker-open"] != 1 {
		t.Errorf("errors %v", e)
	}
}

func TestSamplesAreTheNewestOfEachMagnitude(t *testing.T) {
	var s meter.Stage
	s.Sample(1200*time.Microsecond, "old")
	s.Sample(1100*time.Microsecond, "new")
	s.Sample(time.Second, "slow")
	var ids []string
	for _, x := range s.Samples() {
		ids = append(ids, x.TraceID)
	}
	if !slices.Equal(ids, []string{"new", "slow"}) {
		t.Errorf("samples %v", ids)
	}
}
