package execute

import (
	"encoding/json"
	"maps"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// visit is one item in one session.
type visit struct {
	item    *pipeline.Item
	session *cdp.Session
	max     int64
	stage   *stage // for what all items share
	course  course
	tracing bool // the browser makes a trace
}

// limit is how many bytes the next thing read may have: no more than the item
// can pay for.
func (v *visit) limit() int64 {
	if left, limited := v.item.Budget.Left(pipeline.UnitIO); limited {
		return max(1, min(v.max, left))
	}
	return v.max
}

// charge pays for bytes that came out of the page.
func (v *visit) charge(n int) error {
	return v.item.Budget.Spend(pipeline.UnitIO, int64(n))
}

// keep adds an artifact.
func (v *visit) keep(name, media string, data []byte) error {
	if err := v.charge(len(data)); err != nil {
		return err
	}
	v.item.SetArtifact(pipeline.Artifact{Name: name, MediaType: media, Data: data})
	return nil
}

// decode decodes a value that the page gave.
func (v *visit) decode(raw json.RawMessage) (any, error) {
	if err := v.charge(len(raw)); err != nil {
		return nil, err
	}
	value, err := pipeline.DecodeJSON(raw)
	if err != nil {
		return nil, pipeline.Fail("bad-value", "decode what the page gave: %v", err)
	}
	return value, nil
}

// setFields sets fields of the item's body. An empty body becomes an object.
func (v *visit) setFields(fields map[string]any) error {
	body := map[string]any{}
	if !v.item.Body.IsZero() {
		value, err := v.item.Body.Value()
		if err != nil {
			return pipeline.Fail("body-not-object", "set fields of the body: %v", err)
		}
		old, ok := value.(map[string]any)
		if !ok {
			return pipeline.Fail("body-not-object", "the body is not an object, so it has no fields to set").
				WithHint("make it one with a transform stage before")
		}
		maps.Copy(body, old)
	}
	maps.Copy(body, fields)
	v.item.Body = pipeline.JSONBody(body)
	return nil
}
