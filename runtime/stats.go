package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/internal/meter"
)

// Millis is a duration that is written to JSON as milliseconds, with
// microseconds as decimals.
type Millis time.Duration

// MarshalJSON writes milliseconds.
func (m Millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}

// UnmarshalJSON reads milliseconds.
func (m *Millis) UnmarshalJSON(b []byte) error {
	var ms float64
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	*m = Millis(ms * float64(time.Millisecond))
	return nil
}

// D returns the standard library's type.
func (m Millis) D() time.Duration { return time.Duration(m) }

// Stats is what a run did. Total = Successful + Failed + Dead + Skipped: items
// that ended in this run; items that were given back and not claimed again are
// in none of them. Durations are those of the attempt that ended the item, from
// the carrier's taking it to the source's taking its outcome; items that take
// no more than 2 µs are timed now and then, and stand for the others. In JSON all
// durations are milliseconds. Quantiles are rounded up by at most 6.25 %.
type Stats struct {
	Run        string `json:"run"`
	Pipeline   string `json:"pipeline"`
	Total      int64  `json:"total"`
	Successful int64  `json:"successful"`
	// Failed counts items dropped under on_error: drop.
	Failed int64 `json:"failed"`
	// Dead counts items that went to the dead letters.
	Dead            int64  `json:"dead"`
	Skipped         int64  `json:"skipped"`
	AverageDuration Millis `json:"averageDuration"`
	TotalDuration   Millis `json:"totalDuration"`
	// TotalRetries counts further tries, in place and through the queue.
	TotalRetries int64  `json:"totalRetries"`
	P50          Millis `json:"p50"`
	P95          Millis `json:"p95"`
	P99          Millis `json:"p99"`
	WallTime     Millis `json:"wallTime"`
	// Children counts items that stages emitted; they are not in Total.
	Children int64 `json:"children"`
	// Refunded counts items given back without losing an attempt.
	Refunded int64 `json:"refunded"`
	// LeasesLost counts items that turned out to be somebody else's.
	LeasesLost int64 `json:"leasesLost"`
	// Unsettled counts items whose end the source refused to take.
	Unsettled int64 `json:"unsettled"`
	// Unwitnessed counts items and children that ended as dead because no
	// receipt could be made of their end.
	Unwitnessed int64 `json:"unwitnessed"`
	// DroppedSpans counts spans that did not reach the collector so far.
	DroppedSpans int64        `json:"droppedSpans"`
	Stages       []StageStats `json:"stages"`
	// Stopped says what ended the run before its work was done, if something did.
	Stopped *Stopped `json:"stopped,omitempty"`
}

// Stopped is the failure that a *StopError tells of. Item and Stage are empty if
// the source is to blame.
type Stopped struct {
	Item  string `json:"item,omitempty"`
	Stage string `json:"stage,omitempty"`
	Error string `json:"error"`
}

func stopped(err error) *Stopped {
	var stop *StopError
	if !errors.As(err, &stop) {
		return nil
	}
	out := &Stopped{Error: stop.Err.Error()}
	var cause *pipeline.Error
	if errors.As(stop.Err, &cause) {
		out.Item, out.Stage = cause.Item, cause.Stage
	}
	return out
}

// StageStats is what one stage did. Calls below 10 µs are timed now and then.
type StageStats struct {
	Name    string           `json:"name"`
	Kind    string           `json:"kind"`
	Calls   int64            `json:"calls"`
	Skipped int64            `json:"skipped"`
	Errors  map[string]int64 `json:"errors,omitempty"` // by code
	// MaxInFlight is the most items that were inside at a time.
	MaxInFlight int64 `json:"maxInFlight"`
	// Waits counts calls that waited for the limit of all processes together, for
	// as long as Waited in all.
	Waits  int64  `json:"waits,omitempty"`
	Waited Millis `json:"waited,omitzero"`
	P50    Millis `json:"p50"`
	P95    Millis `json:"p95"`
}

// OK reports that every item that ended succeeded or was skipped.
func (s *Stats) OK() bool { return s.Failed+s.Dead+s.Unsettled == 0 }

// WriteTable writes the statistics for people.
func (s *Stats) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "total\tsuccessful\tfailed\tdead\tskipped\tretries\taverage\tp50\tp95\tp99\twall\t")
	fmt.Fprintf(tw, "%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", s.Total, s.Successful, s.Failed, s.Dead, s.Skipped,
		s.TotalRetries, short(s.AverageDuration), short(s.P50), short(s.P95), short(s.P99), short(s.WallTime))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "stage\tcalls\tskipped\tmost at once\tp50\tp95\terrors")
	for _, st := range s.Stages {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", st.Name, st.Calls, st.Skipped, st.MaxInFlight, short(st.P50), short(st.P95), errorList(st.Errors))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return s.writeTrouble(w)
}

// writeTrouble adds a line for everything that ought to be zero.
func (s *Stats) writeTrouble(w io.Writer) (err error) {
	for _, st := range s.Stages {
		if st.Waits > 0 {
			_, werr := fmt.Fprintf(w, "%s: %d calls waited for its limit, %s each\n", st.Name, st.Waits, short(st.Waited/Millis(st.Waits)))
			err = errors.Join(err, werr)
		}
	}
	for _, t := range []struct {
		n    int64
		text string
	}{
		{s.Refunded, "given back without losing an attempt"},
		{s.LeasesLost, "leases lost to somebody else"},
		{s.Unsettled, "items whose end the queue did not take"},
		{s.Unwitnessed, "items ended without a receipt"},
		{s.DroppedSpans, "spans lost on the way to the collector"},
	} {
		if t.n != 0 {
			_, werr := fmt.Fprintf(w, "%d %s\n", t.n, t.text)
			err = errors.Join(err, werr)
		}
	}
	if s.Stopped != nil && s.Stopped.Item != "" {
		_, werr := fmt.Fprintf(w, "stopped by item %s in stage %s\n", s.Stopped.Item, s.Stopped.Stage)
		err = errors.Join(err, werr)
	}
	return err
}

func errorList(m map[string]int64) string {
	if len(m) == 0 {
		return "-"
	}
	var out []string
	for _, code := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", code, m[code]))
	}
	return strings.Join(out, ", ")
}

// short rounds a duration to three digits or so.
func short(m Millis) string {
	d := time.Duration(m)
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// counters are the run's own atomics.
type counters struct {
	successful, failed, dead, skipped atomic.Int64
	retries, refunded, lost, children atomic.Int64
	unwitnessed                       atomic.Int64
	time                              meter.Hist

	mu    sync.Mutex
	stuck int64
	last  error
}

func (c *counters) ended(r pipeline.Result) {
	switch r {
	case pipeline.Succeeded:
		c.successful.Add(1)
	case pipeline.Skipped:
		c.skipped.Add(1)
	case pipeline.Dropped:
		c.failed.Add(1)
	default:
		c.dead.Add(1)
	}
}

func (c *counters) unsettled(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck++
	c.last = err
}

func (c *counters) unsettledError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuck == 0 {
		return nil
	}
	return &UnsettledError{Items: c.stuck, Err: c.last}
}

// report adds everything up.
func (e *engine) report(wall time.Duration) *Stats {
	c := &e.stats
	s := &Stats{Run: e.o.RunID, Pipeline: e.plan.Name,
		Successful: c.successful.Load(), Failed: c.failed.Load(), Dead: c.dead.Load(), Skipped: c.skipped.Load(),
		TotalRetries: c.retries.Load(), Children: c.children.Load(), Refunded: c.refunded.Load(), LeasesLost: c.lost.Load(),
		Unwitnessed: c.unwitnessed.Load(), WallTime: Millis(wall),
		P50: Millis(c.time.Quantile(.5)), P95: Millis(c.time.Quantile(.95)), P99: Millis(c.time.Quantile(.99))}
	s.Total = s.Successful + s.Failed + s.Dead + s.Skipped
	if n := c.time.Count(); n > 0 {
		s.AverageDuration = Millis(int64(c.time.Sum()) / n)
		s.TotalDuration = s.AverageDuration * Millis(s.Total)
	}
	c.mu.Lock()
	s.Unsettled = c.stuck
	c.mu.Unlock()
	s.DroppedSpans, _ = e.o.Telemetry.Dropped()
	for _, st := range e.stages {
		m := st.meter
		stage := StageStats{Name: st.plan.Name, Kind: st.plan.Kind, Calls: m.Calls(), Skipped: m.Skipped(),
			Errors: m.Errors(), MaxInFlight: m.Peak(), P50: Millis(m.Time.Quantile(.5)), P95: Millis(m.Time.Quantile(.95))}
		if st.limit != nil {
			_, calls, total := st.limit.Waiting()
			stage.Waits, stage.Waited = calls, Millis(total)
		}
		s.Stages = append(s.Stages, stage)
	}
	return s
}
