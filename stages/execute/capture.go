package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/recording"
	"github.com/waybill-dev/waybill/pipeline"
)

// What can be captured, and the artifacts that it becomes.
const (
	captureHAR     = "har"     // capture.har
	captureWACZ    = "wacz"    // capture.wacz
	captureConsole = "console" // console.json
	captureTrace   = "trace"   // trace.json
)

// captures is a list of what is captured of a visit.
type captures []string

// UnmarshalNode reads the list.
func (c *captures) UnmarshalNode(n *pipeline.Node) {
	if n.Kind() != pipeline.KindList {
		n.Problem(pipeline.CodeWrongType, "capture: [har, console]", "want a list, got %s", n.Kind())
		return
	}
	for _, item := range n.Items() {
		name := item.Text()
		switch {
		case item.Kind() != pipeline.KindScalar || !slices.Contains(captureKinds(), name):
			item.Problem(pipeline.CodeBadValue, "one of "+strings.Join(captureKinds(), ", "), "%q cannot be captured", name)
		case slices.Contains(*c, name):
			item.Problem(pipeline.CodeBadValue, "remove one", "%s stands here twice", name)
		default:
			*c = append(*c, name)
		}
	}
}

// NodeSchema describes the list.
func (captures) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"type":"array","items":{"enum":["har","wacz","console","trace"]},"uniqueItems":true}`)
}

func captureKinds() []string {
	return []string{captureHAR, captureWACZ, captureConsole, captureTrace}
}

// records tells whether exchanges are recorded.
func (c Config) records() bool {
	return slices.Contains(c.Capture, captureHAR) || slices.Contains(c.Capture, captureWACZ)
}

// captured runs the steps and keeps what was asked for. A failed item has no
// artifacts, so only a success is captured.
func (v *visit) captured(ctx context.Context, steps func(context.Context) error) error {
	kinds := v.stage.cfg.Capture
	tracing := slices.Contains(kinds, captureTrace)
	if tracing {
		if err := v.session.StartTrace(ctx); err != nil {
			return captureError(ctx, captureTrace, err)
		}
	}
	if err := steps(ctx); err != nil {
		return err
	}
	if tracing {
		trace, err := v.session.StopTrace(ctx, v.limit())
		if err != nil {
			return captureError(ctx, captureTrace, err)
		}
		if err := v.keep("trace.json", pipeline.MediaJSON, trace); err != nil {
			return err
		}
	}
	if slices.Contains(kinds, captureConsole) {
		if err := v.keepConsole("console.json"); err != nil {
			return err
		}
	}
	if !v.stage.cfg.records() {
		return nil
	}
	r, err := v.recording(ctx)
	if err != nil {
		return captureError(ctx, "exchanges", err)
	}
	return v.keepRecording(r)
}

// captureError is a failure outside of any step.
func captureError(ctx context.Context, what string, err error) error {
	return (&Step{Name: "capture " + what}).failure(ctx, err)
}

// recording is what went over the network so far, with the pages that were shown.
func (v *visit) recording(ctx context.Context) (*recording.Recording, error) {
	history, err := v.session.History(ctx)
	if err != nil {
		return nil, err
	}
	r := &recording.Recording{Software: "waybill " + v.stage.env.Run.Version, Browser: v.session.Build().Product, Created: time.Now(),
		Exchanges: v.session.Egress().Report().Exchanges}
	pages := make([]recording.Page, len(history))
	for i, h := range history {
		pages[i] = recording.Page{URL: h.URL, Title: h.Title}
	}
	r.AddPages(pages)
	if v.stage.cfg.CaptureSecrets == "keep" {
		return r, nil
	}
	return r.Redact(), nil
}

func (v *visit) keepRecording(r *recording.Recording) error {
	for _, f := range []struct {
		kind, name, media string
		render            func() ([]byte, error)
	}{
		{captureHAR, "capture.har", pipeline.MediaJSON, r.HAR},
		{captureWACZ, "capture.wacz", "application/wacz", r.WACZ},
	} {
		if !slices.Contains(v.stage.cfg.Capture, f.kind) {
			continue
		}
		data, err := f.render()
		if err != nil {
			return fmt.Errorf("capture %s: %w", f.kind, err)
		}
		if err := v.keep(f.name, f.media, data); err != nil {
			return err
		}
	}
	return nil
}

// keepConsole keeps what the page wrote, and uncaught exceptions.
func (v *visit) keepConsole(name string) error {
	messages, dropped := v.session.Console()
	if messages == nil {
		messages = []cdp.Message{}
	}
	raw, err := json.Marshal(map[string]any{"messages": messages, "dropped": dropped})
	if err != nil {
		return err
	}
	return v.keep(name, pipeline.MediaJSON, raw)
}
