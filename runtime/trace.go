package runtime

import (
	"context"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/runtime/telemetry"
)

// TelemetryOptions say who exports spans.
type TelemetryOptions = telemetry.Options

// NewTelemetry returns the telemetry that the OTEL_* variables ask for, or nil
// if they ask for none; see package telemetry. The caller shuts it down after
// the run.
func NewTelemetry(ctx context.Context, o TelemetryOptions) (*telemetry.Telemetry, error) {
	return telemetry.New(ctx, o)
}

// spanEnd says how an attempt's span ends.
func spanEnd(it *pipeline.Item, v verdict, err error) telemetry.Ending {
	end := telemetry.Ending{Result: string(v.result), Err: v.err}
	switch {
	case err != nil:
		end.Result, end.Err = "unsettled", err
	case v.lost:
		end.Result, end.Err = "lost", v.err
	case v.release && pipeline.KindOf(v.err) == pipeline.Cancelled:
		end.Result, end.Err = "cancelled", nil
	case v.release && v.refund:
		end.Result = "released"
	case v.release:
		end.Result = "retry"
	case v.result == pipeline.Skipped:
		end.Err = nil
	default:
		end.Digest = it.Receipt
	}
	return end
}
