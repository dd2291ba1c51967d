package runtime

import (
	"context"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/meter"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// Running is a run under way, for live status.
type Running struct{ e *engine }

// Snapshot is a run at one moment. Rates are for the reader to make from two of
// them.
type Snapshot struct {
	At       time.Time `json:"at"`
	Elapsed  Millis    `json:"elapsed"`
	Carriers int       `json:"carriers"`
	InFlight int       `json:"inFlight"`
	// Paused says that somebody paused the queue: nothing is claimed from it.
	Paused bool          `json:"paused,omitempty"`
	Stats  *Stats        `json:"stats"`
	Stages []StageStatus `json:"stages"`
}

// StageStatus is what one stage is doing.
type StageStatus struct {
	Name     string `json:"name"`
	InFlight int64  `json:"inFlight"`
	// Limit is how many items may be inside at once.
	Limit int `json:"limit"`
	// Waiting counts items that wait for the limit of all processes together.
	Waiting int64 `json:"waiting,omitempty"`
}

// Rate returns the items per second that ended between an earlier snapshot and
// this one.
func (s Snapshot) Rate(earlier Snapshot) float64 {
	d := s.At.Sub(earlier.At).Seconds()
	if d <= 0 || earlier.Stats == nil {
		return 0
	}
	return float64(s.Stats.Total-earlier.Stats.Total) / d
}

// Snapshot reads the run's counters; it may be called at any time, also after
// the end.
func (r *Running) Snapshot() Snapshot {
	e := r.e
	now := time.Now()
	s := Snapshot{At: now, Elapsed: Millis(e.now()), Carriers: e.carriers, InFlight: e.feed.InFlight(), Paused: e.paused(), Stats: e.report(e.now())}
	for i, st := range e.stages {
		limit := e.carriers
		if p := e.line.Stages[i].Permit; p != nil {
			limit = p.Limit()
		}
		status := StageStatus{Name: st.plan.Name, InFlight: st.meter.InFlight(), Limit: limit}
		if st.limit != nil {
			status.Waiting, _, _ = st.limit.Waiting()
		}
		s.Stages = append(s.Stages, status)
	}
	return s
}

// Reading reads the counters for Prometheus (telemetry.Handler).
func (r *Running) Reading() telemetry.Reading { return r.e.reading(r.e.books) }

// reading asks the queue too, for a second at most.
func (e *engine) reading(ctx context.Context) telemetry.Reading {
	c := &e.stats
	r := telemetry.Reading{Pipeline: e.plan.Name,
		Items: map[string]int64{
			string(pipeline.Succeeded): c.successful.Load(), string(pipeline.Dropped): c.failed.Load(),
			string(pipeline.Dead): c.dead.Load(), string(pipeline.Skipped): c.skipped.Load()},
		Retries: c.retries.Load(), Refunds: c.refunded.Load(), LeasesLost: c.lost.Load(),
		InFlight: int64(e.feed.InFlight()), Pending: -1}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if n, _, err := e.source.Pending(ctx); err == nil {
		r.Pending = n
	}
	r.Queue, _ = e.sharing()
	if stats, ok := e.queueStats(ctx); ok {
		r.Depth = &stats
	}
	if m := e.member.Load(); m != nil {
		r.Workers = m.Live()
	}
	for _, st := range e.stages {
		m := st.meter
		waiting := int64(0)
		if st.limit != nil {
			waiting, _, _ = st.limit.Waiting()
		}
		r.Stages = append(r.Stages, telemetry.StageReading{Name: st.plan.Name, Waiting: waiting, InFlight: m.InFlight(), Calls: m.Calls(),
			Skipped: m.Skipped(), Errors: m.Errors(), Timed: uint64(m.Time.Count()), Seconds: m.Time.Sum().Seconds(),
			Buckets: telemetry.Buckets(m.Time.Below), Exemplars: exemplars(m)})
	}
	return r
}

func exemplars(m *meter.Stage) (out []telemetry.Exemplar) {
	for _, x := range m.Samples() {
		out = append(out, telemetry.Exemplar{TraceID: x.TraceID, Seconds: x.Took.Seconds(), At: x.At})
	}
	return out
}
