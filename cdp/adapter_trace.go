package cdp

import (
	"context"

	proto "github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/tracing"
)

func (t *tab) history(ctx context.Context) ([]Visited, error) {
	r, err := proto.Call(ctx, t.target, page.GetNavigationHistory, proto.Empty{})
	if err != nil {
		return nil, err
	}
	var list []Visited
	for _, e := range r.Entries {
		list = append(list, Visited{e.URL, e.Title})
	}
	return list, nil
}

// traceCategories are those of the Performance panel, without screenshots.
func traceCategories() []string {
	return []string{"-*", "devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame",
		"v8.execute", "blink.user_timing", "loading", "latencyInfo"}
}

func (t *tab) startTrace(ctx context.Context) error {
	_, err := proto.Call(ctx, t.target, tracing.Start, tracing.StartParams{
		TransferMode: tracing.StartTransferModeReturnAsStream, StreamFormat: tracing.StreamFormatJSON,
		TraceConfig: &tracing.TraceConfig{RecordMode: tracing.TraceConfigRecordModeRecordUntilFull,
			TraceBufferSizeInKb: traceBuffer >> 10, IncludedCategories: traceCategories()},
	})
	return err
}

func (t *tab) stopTrace(ctx context.Context, max int64) ([]byte, error) {
	done := proto.Events(ctx, t.target, tracing.TracingComplete) // listens from here on
	if _, err := proto.Call(ctx, t.target, tracing.End, proto.Empty{}); err != nil {
		return nil, err
	}
	for ev, err := range done {
		if err != nil {
			return nil, err
		}
		return t.readStream(ctx, ev.Stream, "the trace", max)
	}
	return nil, ctx.Err()
}
