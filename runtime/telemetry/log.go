package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

const redacted = "[redacted]"

// minSecret is the length below which a secret is not searched for: replacing
// every "1" would redact nothing and spoil every line.
const minSecret = 4

// Redactor returns a function that replaces secrets in a text. Longer secrets
// are replaced first, so that one inside another leaves no rest.
func Redactor(secrets []string) func(string) string {
	kept := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })
	if len(kept) == 0 {
		return func(s string) string { return s }
	}
	slices.SortFunc(kept, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range kept {
		pairs = append(pairs, s, redacted)
	}
	return strings.NewReplacer(pairs...).Replace
}

// LogHandler returns a handler that adds trace_id and span_id where the context
// has a trace, and redacts secrets in messages and attributes.
func LogHandler(next slog.Handler, secrets []string) slog.Handler {
	return &logHandler{next: next, redact: Redactor(secrets)}
}

type logHandler struct {
	next   slog.Handler
	redact func(string) string
}

// Enabled asks the next handler.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle redacts a record and hands it on.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	if sc := spanContext(pipeline.TraceFrom(ctx)); sc.IsValid() {
		out.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.next.Handle(ctx, out)
}

// WithAttrs redacts the attributes once.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = h.attr(a)
	}
	return &logHandler{next: h.next.WithAttrs(out), redact: h.redact}
}

// WithGroup opens a group.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{next: h.next.WithGroup(name), redact: h.redact}
}

func (h *logHandler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, h.redact(v.String()))
	case slog.KindGroup:
		group := v.Group()
		out := make([]slog.Attr, len(group))
		for i := range group {
			out[i] = h.attr(group[i])
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(out...)}
	case slog.KindAny:
		// Anything that a handler would print is printed here, or a secret
		// inside an error would pass.
		text := fmt.Sprint(v.Any())
		if clean := h.redact(text); clean != text {
			return slog.String(a.Key, clean)
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}
