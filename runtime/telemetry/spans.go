package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	maxLinks = 128       // the SDK drops the 129th without a word
	maxAge   = time.Hour // of a trace that an attempt still joins
)

// Names of attributes, from the OpenTelemetry semantic conventions 1.44 where
// they have one (cicd.*, messaging.*, error.type).
const (
	attrPipeline  = "cicd.pipeline.name"
	attrRun       = "cicd.pipeline.run.id"
	attrTask      = "cicd.pipeline.task.name"
	attrResult    = "cicd.pipeline.task.run.result"
	attrSystem    = "messaging.system"
	attrOperation = "messaging.operation.type"
	attrQueue     = "messaging.destination.name"
	attrItem      = "messaging.message.id"
	attrBatch     = "messaging.batch.message_count"
	attrError     = "error.type"
	attrAttempt   = "waybill.item.attempt"
	attrReceipt   = "waybill.receipt.digest"
	attrKind      = "waybill.stage.kind"
)

// Run is the trace of one run. A nil *Run traces nothing.
type Run struct {
	t        *Telemetry
	ctx      context.Context
	span     trace.Span
	pipeline string
	redact   func(string) string
}

// Run begins the trace of a run; secrets never appear in it. A trace context in
// ctx is its parent; nothing else of ctx is used.
func (t *Telemetry) Run(ctx context.Context, pipelineName, runID string, secrets []string) *Run {
	if t == nil {
		return nil
	}
	base := trace.ContextWithRemoteSpanContext(context.Background(), spanContext(pipeline.TraceFrom(ctx)))
	ctx, span := t.tracer.Start(base, "RUN "+pipelineName, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String(attrPipeline, pipelineName), attribute.String(attrRun, runID)))
	return &Run{t: t, ctx: ctx, span: span, pipeline: pipelineName, redact: Redactor(secrets)}
}

// End ends the run's span.
func (r *Run) End() {
	if r != nil {
		r.span.End()
	}
}

// Claimed records a claim that began at start and has just returned items.
func (r *Run) Claimed(items []*pipeline.Item, start time.Time) {
	if r == nil || !r.span.IsRecording() {
		return
	}
	links := make([]trace.Link, 0, min(len(items), maxLinks))
	queue := ""
	for _, it := range items {
		queue = it.Queue
		if sc := spanContext(it.Trace); sc.IsValid() && len(links) < maxLinks {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	_, span := r.t.tracer.Start(r.ctx, "receive "+r.pipeline, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(start), trace.WithLinks(links...), trace.WithAttributes(
			attribute.String(attrSystem, "waybill"), attribute.String(attrOperation, "receive"),
			attribute.String(attrQueue, queue), attribute.Int(attrBatch, len(items))))
	span.End()
}

// Item is the span of one attempt of one sampled item.
type Item struct {
	run  *Run
	ctx  context.Context
	span trace.Span
}

// Item begins an attempt. It returns nil if the item is not sampled.
func (r *Run) Item(it *pipeline.Item) *Item {
	if r == nil {
		return nil
	}
	ctx := context.Background()
	links := []trace.Link{{SpanContext: r.span.SpanContext()}}
	if created := spanContext(it.Trace); created.IsValid() {
		if it.Enqueued.IsZero() || time.Since(it.Enqueued) <= maxAge {
			ctx = trace.ContextWithRemoteSpanContext(ctx, created)
		} else {
			links = append(links, trace.Link{SpanContext: created})
		}
	}
	ctx, span := r.t.tracer.Start(ctx, "process "+r.pipeline, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...))
	if !span.IsRecording() {
		span.End()
		return nil
	}
	span.SetAttributes(attribute.String(attrPipeline, r.pipeline), attribute.String(attrSystem, "waybill"),
		attribute.String(attrOperation, "process"), attribute.String(attrQueue, it.Queue),
		attribute.String(attrItem, it.ID), attribute.Int(attrAttempt, it.Attempt))
	return &Item{run: r, ctx: ctx, span: span}
}

// Context returns the trace context of the attempt; for an item that is not
// sampled it is the one that the item was created under.
func (i *Item) Context(it *pipeline.Item) pipeline.TraceContext {
	if i == nil {
		return it.Trace
	}
	return traceContext(i.ctx)
}

// Ending is how an attempt ended.
type Ending struct {
	// Result is succeeded, skipped, dropped, dead, retry, released or lost.
	Result string
	// Err is the failure; nil unless the attempt failed.
	Err error
	// Digest is the receipt's, as it was acknowledged.
	Digest pipeline.Digest
}

// End ends the attempt's span.
func (i *Item) End(e Ending) {
	if i == nil {
		return
	}
	i.span.SetAttributes(attribute.String(attrResult, e.Result))
	if e.Digest != "" {
		i.span.SetAttributes(attribute.String(attrReceipt, string(e.Digest)))
	}
	i.run.fail(i.span, e.Err)
	i.span.End()
}

// Span is one call of one stage.
type Span struct {
	run  *Run
	ctx  context.Context
	span trace.Span
}

// Stage begins a stage's span.
func (i *Item) Stage(name, kind string) *Span {
	if i == nil {
		return nil
	}
	ctx, span := i.run.t.tracer.Start(i.ctx, name, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(attribute.String(attrTask, name), attribute.String(attrKind, kind)))
	return &Span{run: i.run, ctx: ctx, span: span}
}

// TraceID returns the id of the trace that the span belongs to, in hex.
func (s *Span) TraceID() string { return s.span.SpanContext().TraceID().String() }

// Context returns the trace context for work below the stage.
func (s *Span) Context() pipeline.TraceContext {
	if s == nil {
		return pipeline.TraceContext{}
	}
	return traceContext(s.ctx)
}

// End ends the stage's span. Skipped and cancelled are results.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	result := "success"
	if err != nil {
		switch k := pipeline.KindOf(err); k {
		case pipeline.Skip, pipeline.Cancelled:
			result, err = k.String(), nil
		default:
			result = "failure"
		}
	}
	s.span.SetAttributes(attribute.String(attrResult, result))
	s.run.fail(s.span, err)
	s.span.End()
}

// fail sets status and error.type together.
func (r *Run) fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, r.redact(err.Error()))
		span.SetAttributes(attribute.String(attrError, pipeline.CodeOf(err)))
	}
}

// InjectEnqueue makes the PRODUCER span `send {queue}` that an item's trace
// begins with, and returns its context for the item. A trace context in ctx is
// its parent. Without telemetry that context is handed on.
func (t *Telemetry) InjectEnqueue(ctx context.Context, queue string) pipeline.TraceContext {
	parent := pipeline.TraceFrom(ctx)
	if t == nil {
		return parent
	}
	base := trace.ContextWithRemoteSpanContext(context.Background(), spanContext(parent))
	sctx, span := t.tracer.Start(base, "send "+queue, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String(attrSystem, "waybill"), attribute.String(attrOperation, "send"), attribute.String(attrQueue, queue)))
	span.End()
	return traceContext(sctx)
}

// FromEnvironment returns ctx with the trace context that the caller of this
// process handed down in TRACEPARENT and TRACESTATE (OpenTelemetry,
// "Environment Variables as Context Propagation Carriers"). A malformed one is
// none.
func FromEnvironment(ctx context.Context, getenv func(string) string) context.Context {
	tc := pipeline.TraceContext{Parent: getenv("TRACEPARENT"), State: getenv("TRACESTATE")}
	if !spanContext(tc).IsValid() {
		return ctx
	}
	return pipeline.ContextWithTrace(ctx, tc)
}

// spanContext parses a W3C trace context; a malformed one is no context.
func spanContext(tc pipeline.TraceContext) trace.SpanContext {
	if tc.Parent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": tc.Parent, "tracestate": tc.State}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

func traceContext(ctx context.Context) pipeline.TraceContext {
	carrier := make(propagation.MapCarrier, 2)
	propagation.TraceContext{}.Inject(ctx, carrier)
	return pipeline.TraceContext{Parent: carrier["traceparent"], State: carrier["tracestate"]}
}
