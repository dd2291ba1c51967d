package plugins

import (
	"context"
	"log/slog"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// replay runs a record that failed once more on the un-metered module. What
// keeps it from that is a note: the failure itself is known already.
func replay(ctx context.Context, c Config, at place, in k1.Record) *pipeline.KernelTrace {
	o, _, err := c.options(ctx, at, slog.New(slog.DiscardHandler))
	if err != nil {
		return &pipeline.KernelTrace{Note: err.Error()}
	}
	t, err := host.Replay(ctx, o, in)
	if err != nil {
		return &pipeline.KernelTrace{Note: err.Error()}
	}
	out := &pipeline.KernelTrace{Cause: t.Cause, Logs: t.Stderr}
	sources := 0
	for _, f := range t.Frames {
		out.Frames = append(out.Frames, pipeline.KernelFrame{Func: f.Func, Source: f.Source})
		sources += len(f.Source)
	}
	switch {
	case t.Cause == "":
		out.Note = "the record went through without fuel: a limit was what it failed at"
	case len(t.Frames) == 0:
		out.Note = "nothing trapped, so there is no stack"
	case sources == 0:
		out.Note = "the module has no debug information (DWARF): build it with some to see files and lines"
	}
	return out
}
