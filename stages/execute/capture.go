package execute

import (
	"context"
	"encoding/json"
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
// artifacts, so only a success is captured here.
func (v *visit) captured(ctx context.Context, steps func(context.Context) error) error {
	kinds := v.stage.cfg.Capture
	if slices.Contains(kinds, captureTrace) {
		if err := v.session.StartTrace(ctx); err != nil {
			return captureError(ctx, captureTrace, err)
		}
		v.tracing = true
	}
	if err := steps(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		a, err := v.capture(ctx, kind)
		if err != nil {
			return captureError(ctx, kind, err)
		}
		if err := v.keep(a.Name, a.MediaType, a.Data); err != nil {
			return err
		}
	}
	return nil
}

// capture renders one kind of what happened so far.
func (v *visit) capture(ctx context.Context, kind string) (a pipeline.Artifact, err error) {
	var r *recording.Recording
	switch kind {
	case captureTrace:
		a.Name, a.MediaType = "trace.json", pipeline.MediaJSON
		a.Data, err = v.session.StopTrace(ctx, v.limit())
		v.tracing = false
	case captureConsole:
		a.Name, a.MediaType = "console.json", pipeline.MediaJSON
		a.Data, err = v.messages()
	case captureHAR:
		a.Name, a.MediaType = "capture.har", pipeline.MediaJSON
		if r, err = v.recording(ctx); err == nil {
			a.Data, err = r.HAR()
		}
	case captureWACZ:
		a.Name, a.MediaType = "capture.wacz", "application/wacz"
		if r, err = v.recording(ctx); err == nil {
			a.Data, err = r.WACZ()
		}
	}
	return a, err
}

// captureError is a failure outside of any step.
func captureError(ctx context.Context, what string, err error) error {
	return (&Step{Name: "capture " + what}).failure(ctx, err)
}

// recording is what went over the network so far, with the pages that were shown.
// A page that is gone has no history any more.
func (v *visit) recording(ctx context.Context) (*recording.Recording, error) {
	history, err := v.session.History(ctx)
	if err != nil && v.session.Err() == nil {
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

// messages is what the page wrote to its console, with uncaught exceptions.
func (v *visit) messages() ([]byte, error) {
	messages, dropped := v.session.Console()
	if messages == nil {
		messages = []cdp.Message{}
	}
	return json.Marshal(map[string]any{"messages": messages, "dropped": dropped})
}
