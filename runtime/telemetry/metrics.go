package telemetry

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/waybill-dev/waybill/pipeline"
)

// Reading is the engine's counters at one moment.
type Reading struct {
	Pipeline string
	// Items counts ended items by result.
	Items map[string]int64
	// Retries counts further attempts, in place and through the queue.
	Retries, Refunds, LeasesLost int64
	InFlight                     int64
	// Pending is how many items the queue holds that are not at their end;
	// negative if it could not be asked.
	Pending int64
	// Queue is the queue's name, Depth its statistics; nil if it has none or does
	// not answer.
	Queue string
	Depth *pipeline.QueueStats
	// Workers is how many processes run on the queue; 0 if that is not known.
	Workers int
	Stages  []StageReading
}

// StageReading is one stage's counters.
type StageReading struct {
	Name           string
	InFlight       int64
	Waiting        int64 // for the limit of all processes together
	Calls, Skipped int64
	Errors         map[string]int64
	// Timed counts the calls in the histogram, Seconds is their sum.
	Timed   uint64
	Seconds float64
	// Buckets are the cumulative counts up to Bounds.
	Buckets map[float64]uint64
	// Exemplars are some of the timed calls, the newest per bucket counts.
	Exemplars []Exemplar
}

// Exemplar is one timed call of a sampled item: the way from a bucket of the
// histogram to a trace. Only OpenMetrics has them.
type Exemplar struct {
	TraceID string
	Seconds float64
	At      time.Time
}

// Bounds are the histogram's upper bounds in seconds.
var bounds = []time.Duration{
	100 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Buckets fills a histogram from a function that counts durations up to a bound.
func Buckets(below func(time.Duration) int64) map[float64]uint64 {
	out := make(map[float64]uint64, len(bounds))
	for _, b := range bounds {
		out[b.Seconds()] = uint64(below(b))
	}
	return out
}

// Listener is an address that metrics are served at. Nil serves nothing.
type Listener struct{ l net.Listener }

// Listen takes an address; an empty one is none, and gives nil. Use Serve or Close.
func Listen(addr string) (*Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

// Close gives up an address that is not served.
func (m *Listener) Close() error {
	if m == nil {
		return nil
	}
	return m.l.Close()
}

// Serve serves the reading as Prometheus metrics (OpenMetrics if the scraper
// wants it) at /metrics until stop is called.
func (m *Listener) Serve(read func() Reading) (stop func()) {
	if m == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", Handler(read))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(m.l) // always ErrServerClosed: the listener is ours
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
		<-done
	}
}

// Handler serves the reading as Prometheus metrics.
func Handler(read func() Reading) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector(read), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// collector makes metrics of a reading when it is asked for them.
type collector func() Reading

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("waybill_"+name, help, append([]string{"pipeline"}, labels...), nil)
}

var (
	descItems    = desc("items_total", "Items that ended, by result.", "result")
	descRetries  = desc("retries_total", "Further attempts, in place and through the queue.")
	descRefunds  = desc("refunds_total", "Items given back without losing an attempt.")
	descLost     = desc("leases_lost_total", "Items whose lease was lost.")
	descInFlight = desc("items_in_flight", "Items claimed and not at their end.")
	descPending  = desc("queue_pending", "Items of the queue that are not at their end.")
	descWorkers  = desc("workers", "Processes that run on the queue.", "queue")
	descWaiting  = desc("stage_waiting", "Items that wait for a stage's limit.", "stage")
	descStageIn  = desc("stage_in_flight", "Items inside a stage.", "stage")
	descCalls    = desc("stage_calls_total", "Calls of a stage.", "stage")
	descSkipped  = desc("stage_skipped_total", "Items that a stage was not for.", "stage")
	descErrors   = desc("stage_errors_total", "Failed calls of a stage, by code.", "stage", "code")
	descTime     = desc("stage_duration_seconds", "Duration of a stage's calls; calls below 10 us are sampled.", "stage")
)

// depths are the gauges of a queue's statistics. Every process reports them for
// the whole queue: take the maximum, not the sum.
var depths = []struct {
	desc  *prometheus.Desc
	value func(pipeline.QueueStats) float64
}{
	{desc("queue_ready", "Items that are ready, with the delayed ones.", "queue"), func(s pipeline.QueueStats) float64 { return float64(s.Ready) }},
	{desc("queue_delayed", "Ready items whose time has not come.", "queue"), func(s pipeline.QueueStats) float64 { return float64(s.Delayed) }},
	{desc("queue_leased", "Items that are being worked on.", "queue"), func(s pipeline.QueueStats) float64 { return float64(s.Leased) }},
	{desc("queue_dead", "Items in the dead letters.", "queue"), func(s pipeline.QueueStats) float64 { return float64(s.Dead) }},
	{desc("queue_age_seconds", "Age of the claimable item that waits longest; 0 if none waits.", "queue"), func(s pipeline.QueueStats) float64 { return s.AgeSeconds }},
	{desc("queue_paused", "1 if the queue is paused.", "queue"), func(s pipeline.QueueStats) float64 {
		if s.Paused {
			return 1
		}
		return 0
	}},
}

// Describe sends no descriptor: the set of metrics depends on the pipeline.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters once.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := c()
	add := func(d *prometheus.Desc, t prometheus.ValueType, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, t, float64(v), append([]string{r.Pipeline}, labels...)...)
	}
	for result, n := range r.Items {
		add(descItems, prometheus.CounterValue, n, result)
	}
	add(descRetries, prometheus.CounterValue, r.Retries)
	add(descRefunds, prometheus.CounterValue, r.Refunds)
	add(descLost, prometheus.CounterValue, r.LeasesLost)
	add(descInFlight, prometheus.GaugeValue, r.InFlight)
	if r.Pending >= 0 {
		add(descPending, prometheus.GaugeValue, r.Pending)
	}
	if r.Depth != nil {
		for _, d := range depths {
			out <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, d.value(*r.Depth), r.Pipeline, r.Queue)
		}
	}
	if r.Workers > 0 {
		add(descWorkers, prometheus.GaugeValue, int64(r.Workers), r.Queue)
	}
	for _, s := range r.Stages {
		add(descWaiting, prometheus.GaugeValue, s.Waiting, s.Name)
		add(descStageIn, prometheus.GaugeValue, s.InFlight, s.Name)
		add(descCalls, prometheus.CounterValue, s.Calls, s.Name)
		add(descSkipped, prometheus.CounterValue, s.Skipped, s.Name)
		for code, n := range s.Errors {
			add(descErrors, prometheus.CounterValue, n, s.Name, code)
		}
		out <- withExemplars(prometheus.MustNewConstHistogram(descTime, s.Timed, s.Seconds, s.Buckets, r.Pipeline, s.Name), s.Exemplars)
	}
}

// withExemplars adds exemplars to a histogram. One that Prometheus refuses is no
// reason to lose the histogram.
func withExemplars(m prometheus.Metric, exemplars []Exemplar) prometheus.Metric {
	out := make([]prometheus.Exemplar, len(exemplars))
	for i, x := range exemplars {
		out[i] = prometheus.Exemplar{Value: x.Seconds, Labels: prometheus.Labels{"trace_id": x.TraceID}, Timestamp: x.At}
	}
	if with, err := prometheus.NewMetricWithExemplars(m, out...); err == nil {
		return with
	}
	return m
}
