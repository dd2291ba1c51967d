package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// Parse reads a manifest strictly. The error is an Error with every problem.
func Parse(raw []byte) (*Manifest, error) {
	m := new(Manifest)
	found := decode(raw, shape(), m)
	if len(found) > 0 {
		return nil, found
	}
	if m.State == "" {
		m.State = StatePure
	}
	if found = m.check(); len(found) > 0 {
		return nil, found
	}
	return m, nil
}

// ParseSample reads one sample, such as a golden case beside a kernel, and
// checks it against the manifest's ports and schema. The error is an Error.
func (m *Manifest) ParseSample(raw []byte) (*Sample, error) {
	s := new(Sample)
	found := decode(raw, sampleShape(), s)
	if len(found) == 0 {
		found = m.checkSample(s)
	}
	if len(found) > 0 {
		return nil, found
	}
	return s, nil
}

// CheckConfig lists what is wrong with a configuration, as JSON, by the
// kernel's schema. Without a schema anything is right. Nothing is filled in.
func (m *Manifest) CheckConfig(raw []byte) []Problem {
	v, found := strictJSON(raw)
	if m.schema == nil || len(found) > 0 {
		return found
	}
	return m.schema.check(v, len(raw))
}

// decode reads JSON of a shape into a struct.
func decode(raw []byte, shape *rules, into any) Error {
	if len(raw) > MaxSize {
		return Error{{Message: fmt.Sprintf("%d bytes, the limit is %d", len(raw), MaxSize), Code: pipeline.CodeOutOfRange}}
	}
	v, found := strictJSON(raw)
	if len(found) == 0 {
		found = evaluate(shape, v)
	}
	if len(found) > 0 {
		return found
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return Error{{Message: err.Error(), Code: pipeline.CodeWrongType}}
	}
	return nil
}
