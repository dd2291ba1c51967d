package runtime_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// sink is a collector: OTLP over HTTP, protobuf.
type sink struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
	refuse   bool
}

func newSink(t *testing.T) *sink {
	s := &sink{resource: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req v1.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &req)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil || r.URL.Path != "/v1/traces" || s.refuse {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, rs := range req.ResourceSpans {
			for _, kv := range rs.Resource.Attributes {
				s.resource[kv.Key] = kv.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				s.spans = append(s.spans, ss.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	return s
}

// named returns the spans of that name.
func (s *sink) named(name string) (out []*tracepb.Span) {
	for _, sp := range s.spans {
		if sp.Name == name {
			out = append(out, sp)
		}
	}
	return out
}

func attr(sp *tracepb.Span, key string) string {
	for _, kv := range sp.Attributes {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return ""
}

func newTelemetry(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	tel, err := runtime.NewTelemetry(context.Background(), runtime.TelemetryOptions{Version: "test"})
	if err != nil || tel == nil {
		t.Fatalf("telemetry %v, error %v", tel, err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestOneTracePerItem(t *testing.T) {
	s := newSink(t)
	tel := newTelemetry(t)
	q := newQueue(t, 6)
	for _, r := range q.rows {
		r.item.Trace = tel.InjectEnqueue(context.Background(), "q")
	}
	var seen sync.Map
	p := plan(2, source(q),
		stage("first", func(ctx context.Context, it *pipeline.Item) error {
			seen.Store(it.ID, pipeline.TraceFrom(ctx))
			switch it.ID {
			case "i001":
				return pipeline.Fail("bad-page", "the password was hunter22")
			case "i002":
				return pipeline.SkipItem("not wanted")
			case "i003":
				if it.Attempt == 1 {
					return &pipeline.Error{Kind: pipeline.Retry, Code: "busy", After: 10 * time.Second}
				}
			}
			it.Receipt = pipeline.DigestOf([]byte(it.ID))
			return nil
		}), stage("second", nop))
	p.Secrets = []string{"hunter22"}
	q.shorten = time.Millisecond
	stats, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet(), Telemetry: tel, PollMin: time.Millisecond})
	if err != nil || stats.Total != 6 || stats.DroppedSpans != 0 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resource["service.name"] != "waybill" || s.resource["deployment.environment"] != "test" {
		t.Errorf("resource %v", s.resource)
	}
	runs := s.named("RUN test")
	if len(runs) != 1 {
		t.Fatalf("%d run spans", len(runs))
	}
	checkClaims(t, s, runs[0], q)
	sends := map[string]*tracepb.Span{}
	for _, sp := range s.named("send q") {
		sends[string(sp.TraceId)] = sp
	}
	if len(sends) != 6 {
		t.Errorf("%d traces for 6 items", len(sends))
	}
	attempts := s.named("process test")
	if len(attempts) != 7 {
		t.Errorf("%d attempts, want 7", len(attempts))
	}
	for _, sp := range attempts {
		checkAttempt(t, s, sp, sends[string(sp.TraceId)], runs[0])
	}
	tc, _ := seen.Load("i000")
	found := false
	for _, sp := range s.named("first") {
		found = found || strings.Contains(tc.(pipeline.TraceContext).Parent, hex.EncodeToString(sp.SpanId))
	}
	if !found {
		t.Errorf("the stage saw %v, which is no span of the stage", tc)
	}
}

// A run and the items that are enqueued may belong to the trace of a caller, who
// hands it down in the environment.
func TestTraceOfTheCaller(t *testing.T) {
	const id, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	env := map[string]string{"TRACEPARENT": "00-" + id + "-" + span + "-01", "TRACESTATE": "x=y"}
	ctx := telemetry.FromEnvironment(t.Context(), func(name string) string { return env[name] })
	s := newSink(t)
	tel := newTelemetry(t)
	q := newQueue(t, 1)
	q.rows[0].item.Trace = tel.InjectEnqueue(ctx, "q")
	_, err := runtime.Run(ctx, plan(1, source(q), stage("a", nop)), runtime.Options{UntilEmpty: true, Log: quiet(), Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"RUN test", "send q"} {
		got := s.named(name)
		if len(got) != 1 || hex.EncodeToString(got[0].TraceId) != id || hex.EncodeToString(got[0].ParentSpanId) != span || got[0].TraceState != "x=y" {
			t.Errorf("%s is not below the caller's span: %v", name, got)
		}
	}
	env["TRACEPARENT"] = "nonsense"
	if tc := pipeline.TraceFrom(telemetry.FromEnvironment(t.Context(), func(name string) string { return env[name] })); tc.Parent != "" {
		t.Errorf("a malformed parent became %v", tc)
	}
}

// checkClaims wants every item linked from a claim span of the run's trace.
func checkClaims(t *testing.T, s *sink, run *tracepb.Span, q *queue) {
	linked := map[string]bool{}
	for _, sp := range s.named("receive test") {
		if sp.Kind != tracepb.Span_SPAN_KIND_CLIENT || !bytes.Equal(sp.ParentSpanId, run.SpanId) || !bytes.Equal(sp.TraceId, run.TraceId) {
			t.Errorf("claim span %v is not a client span below the run", sp)
		}
		for _, l := range sp.Links {
			linked[hex.EncodeToString(l.TraceId)] = true
		}
	}
	for _, r := range q.rows {
		if id := strings.Split(r.item.Trace.Parent, "-")[1]; !linked[id] {
			t.Errorf("no claim links to item %s", r.item.ID)
		}
	}
}

func checkAttempt(t *testing.T, s *sink, sp, send, run *tracepb.Span) {
	item := attr(sp, "messaging.message.id")
	if send == nil || !bytes.Equal(sp.ParentSpanId, send.SpanId) || sp.Kind != tracepb.Span_SPAN_KIND_CONSUMER {
		t.Errorf("attempt of %s is not a consumer span below the item's creation", item)
	}
	if len(sp.Links) != 1 || !bytes.Equal(sp.Links[0].SpanId, run.SpanId) {
		t.Errorf("attempt of %s has no link to the run", item)
	}
	stages := 0
	for _, c := range s.spans {
		if bytes.Equal(c.ParentSpanId, sp.SpanId) {
			stages++
		}
	}
	result, code := attr(sp, "cicd.pipeline.task.run.result"), attr(sp, "error.type")
	failed := sp.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR
	if failed != (code != "") {
		t.Errorf("attempt of %s: status %v but error.type %q", item, sp.Status, code)
	}
	want := map[string]string{"i001": "dead bad-page 1", "i002": "skipped  1"}[item]
	switch {
	case want == "" && result == "retry":
		want = "retry busy 1"
	case want == "":
		want = "succeeded  2"
		if attr(sp, "waybill.receipt.digest") == "" {
			t.Errorf("attempt of %s does not name its receipt", item)
		}
	}
	if got := result + " " + code + " " + string(rune('0'+stages)); got != want {
		t.Errorf("attempt of %s: %q, want %q", item, got, want)
	}
	if strings.Contains(sp.Status.GetMessage(), "hunter22") {
		t.Errorf("a secret is in the trace: %v", sp.Status)
	}
}

func TestLostSpansAreCounted(t *testing.T) {
	s := newSink(t)
	s.refuse = true
	tel := newTelemetry(t)
	stats, err := runtime.Run(context.Background(), plan(1, source(newQueue(t, 4)), stage("a", nop)),
		runtime.Options{UntilEmpty: true, Log: quiet(), Telemetry: tel})
	if err != nil || stats.DroppedSpans < 4*2+2 {
		t.Errorf("%d spans were lost by the statistics, error %v", stats.DroppedSpans, err)
	}
	var table bytes.Buffer
	if err := stats.WriteTable(&table); err != nil || !strings.Contains(table.String(), "spans lost") {
		t.Errorf("table:\n%s", &table)
	}
}

func TestTelemetryIsOffUntilAskedFor(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == name {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, tt := range []struct {
		env    func(string) string
		on, ok bool
	}{
		{env(), false, true},
		{env(endpoint, "http://127.0.0.1:1"), true, true},
		{env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1"), true, true},
		{env("OTEL_TRACES_EXPORTER", "otlp"), true, true},
		{env(endpoint, "http://127.0.0.1:1", "OTEL_SDK_DISABLED", "true"), false, true},
		{env(endpoint, "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "none"), false, true},
		{env("OTEL_TRACES_EXPORTER", "zipkin"), false, false},
		{env(endpoint, "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), false, false},
	} {
		tel, err := runtime.NewTelemetry(context.Background(), runtime.TelemetryOptions{Getenv: tt.env})
		if (tel != nil) != tt.on || (err == nil) != tt.ok {
			t.Errorf("telemetry %v, error %v; want on %v, ok %v", tel != nil, err, tt.on, tt.ok)
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestMetrics(t *testing.T) {
	q := newQueue(t, 3)
	var text string
	running := make(chan *runtime.Running, 1)
	p := plan(1, source(q), stage("first", nop), stage("look", func(_ context.Context, it *pipeline.Item) error {
		if it.ID == "i002" {
			r := <-running
			if s := r.Snapshot(); s.InFlight != 1 || s.Stages[1].InFlight != 1 || s.Stats.Successful != 1 {
				t.Errorf("snapshot %+v", s)
			}
			rec := httptest.NewRecorder()
			telemetry.Handler(r.Reading).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
			text = rec.Body.String()
		}
		if it.ID == "i001" {
			return pipeline.Fail("bad", "bad")
		}
		return nil
	}))
	_, err := runtime.Run(context.Background(), p, runtime.Options{UntilEmpty: true, Log: quiet(), MetricsAddr: "127.0.0.1:0",
		Observer: runtime.Observer{Running: func(r *runtime.Running) { running <- r }}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`waybill_items_total{pipeline="test",result="succeeded"} 1`,
		`waybill_items_total{pipeline="test",result="dead"} 1`,
		`waybill_items_in_flight{pipeline="test"} 1`,
		`waybill_queue_pending{pipeline="test"} 1`,
		`waybill_stage_in_flight{pipeline="test",stage="look"} 1`,
		`waybill_stage_errors_total{code="bad",pipeline="test",stage="look"} 1`,
		`waybill_stage_duration_seconds_count{pipeline="test",stage="first"} 3`,
		`waybill_leases_lost_total{pipeline="test"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in the metrics", line)
		}
	}
	if strings.Contains(text, "i001") {
		t.Error("an item's id is a label")
	}
	_, err = runtime.Run(context.Background(), p, runtime.Options{Log: quiet(), MetricsAddr: "nonsense"})
	var start *runtime.StartError
	if !errors.As(err, &start) {
		t.Errorf("error %v, want a StartError for the address", err)
	}
}

func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(telemetry.LogHandler(slog.NewTextHandler(&out, nil), []string{"s3cret!", "s3cret!longer", "1"}))
	ctx := pipeline.ContextWithTrace(context.Background(), pipeline.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	log.With("dsn", "user:s3cret!@host").WithGroup("g").InfoContext(ctx, "got s3cret!longer", "err", errors.New("s3cret! is wrong"), "n", 1)
	text := out.String()
	for _, want := range []string{"trace_id=0af7651916cd43dd8448eb211c80319c", "span_id=b7ad6b7169203331", "user:[redacted]@host", `msg="got [redacted]"`, "n=1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("a secret is in the log: %s", text)
	}
}

// TestExemplarsLeadToTraces: the histogram of a stage names a trace of one of its
// calls, for scrapers that speak OpenMetrics.
func TestExemplarsLeadToTraces(t *testing.T) {
	s := newSink(t)
	tel := newTelemetry(t)
	q := newQueue(t, 1)
	var running *runtime.Running
	_, err := runtime.Run(context.Background(), plan(1, source(q), stage("first", nop)), runtime.Options{UntilEmpty: true,
		Log: quiet(), Telemetry: tel, Observer: runtime.Observer{Running: func(r *runtime.Running) { running = r }}})
	if err != nil {
		t.Fatal(err)
	}
	scrape := func(accept string) string {
		rec, req := httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil)
		req.Header.Set("Accept", accept)
		telemetry.Handler(running.Reading).ServeHTTP(rec, req)
		return rec.Body.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spans := s.named("first")
	if len(spans) != 1 {
		t.Fatalf("%d spans of the stage", len(spans))
	}
	want := `# {trace_id="` + hex.EncodeToString(spans[0].TraceId) + `"} `
	text := scrape("application/openmetrics-text; version=1.0.0")
	found := false
	for line := range strings.Lines(text) {
		found = found || strings.HasPrefix(line, "waybill_stage_duration_seconds_bucket{") && strings.Contains(line, want)
	}
	if !found {
		t.Errorf("no %s in the metrics:\n%s", want, text)
	}
	if strings.Contains(scrape("text/plain"), "trace_id") {
		t.Error("an exemplar in the old text format, which knows none")
	}
}
