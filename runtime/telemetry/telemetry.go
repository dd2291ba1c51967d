package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options say who exports.
type Options struct {
	// Version becomes service.version.
	Version string
	// Getenv reads the environment to decide whether and what to export; nil
	// means os.Getenv. The exporter itself always reads the process's
	// environment.
	Getenv func(string) string
}

// Telemetry exports spans. A nil *Telemetry exports none.
type Telemetry struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ended    atomic.Int64
	exported atomic.Int64
	failure  atomic.Pointer[error]
}

// New returns the telemetry that the environment asks for, or nil if it asks
// for none: OTEL_SDK_DISABLED is not true and OTEL_TRACES_EXPORTER is otlp, or
// is unset and an OTLP endpoint is set. An exporter or protocol that is not
// built in is an error.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	on, err := wanted(o.Getenv)
	if !on || err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "waybill"), attribute.String("service.version", o.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t := &Telemetry{}
	batcher := sdktrace.NewBatchSpanProcessor(&countingExporter{exporter, t}, batching(o.Getenv)...)
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithResource(res),
		sdktrace.WithSpanProcessor(&countingProcessor{batcher, t}))
	t.tracer = t.provider.Tracer("github.com/waybill-dev/waybill/runtime", trace.WithInstrumentationVersion(o.Version))
	return t, nil
}

// wanted reads the switches. The SDK itself knows neither OTEL_SDK_DISABLED nor
// "off unless asked for".
func wanted(env func(string) string) (bool, error) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := env("OTEL_TRACES_EXPORTER"); exporter {
	case "otlp":
	case "none":
		return false, nil
	case "":
		if env("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%s is not built in (otlp or none)", exporter)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := env(name); p != "" {
			if p != "http/protobuf" {
				return false, fmt.Errorf("%s=%s is not built in (http/protobuf)", name, p)
			}
			break
		}
	}
	return true, nil
}

// batching raises the SDK's queue: its default of 2048 loses most spans of a
// fast run without a word. Variables that are set win.
func batching(env func(string) string) (out []sdktrace.BatchSpanProcessorOption) {
	if env("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		out = append(out, sdktrace.WithMaxQueueSize(16384))
	}
	if env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") == "" {
		out = append(out, sdktrace.WithMaxExportBatchSize(2048))
	}
	return out
}

// Flush exports what has ended so far, within ctx.
func (t *Telemetry) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Shutdown flushes and ends the export. Dropped is final after it.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Dropped returns how many ended spans did not reach the collector, and why if
// that is known. Before a Flush it includes those that are still queued.
func (t *Telemetry) Dropped() (n int64, why error) {
	if t == nil {
		return 0, nil
	}
	if p := t.failure.Load(); p != nil {
		why = *p
	}
	return t.ended.Load() - t.exported.Load(), why
}

// countingProcessor counts the spans that are to be exported.
type countingProcessor struct {
	sdktrace.SpanProcessor
	t *Telemetry
}

func (p *countingProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		p.t.ended.Add(1)
	}
	p.SpanProcessor.OnEnd(s)
}

// countingExporter counts the spans that were. It keeps the error to itself:
// the SDK would print it once per batch.
type countingExporter struct {
	sdktrace.SpanExporter
	t *Telemetry
}

func (x *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := x.SpanExporter.ExportSpans(ctx, spans); err != nil {
		x.t.failure.Store(&err)
		return nil
	}
	x.t.exported.Add(int64(len(spans)))
	return nil
}
